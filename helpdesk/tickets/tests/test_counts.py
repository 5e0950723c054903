"""Tickets are counted exactly without being read, whoever writes them."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import product
from random import Random

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from helpdesk.tickets import actions
from helpdesk.tickets.counts import fold_counts
from helpdesk.tickets.models import Priority, Status, Ticket, TicketCount
from helpdesk.tickets.tasks import fold_ticket_counts
from helpdesk.tickets.tests.factories import TicketFactory, by
from helpdesk.users.tests.factories import UserFactory

pytestmark = pytest.mark.django_db

# Both numbers of one snapshot.
COUNTED_AND_PRESENT = (
    "SELECT (SELECT coalesce(sum(delta), 0) FROM tickets_ticketcount), (SELECT count(*) FROM tickets_ticket)"
)


def counted():
    """Return the number of tickets of each status, priority and assignee, from the rows that count them."""
    numbers = Counter()
    for *key, delta in TicketCount.objects.values_list("status", "priority", "assigned_to_id", "delta"):
        numbers[tuple(key)] += delta
    return {key: number for key, number in numbers.items() if number}


def present():
    """Return the same from the tickets."""
    return Counter(Ticket.objects.values_list("status", "priority", "assigned_to_id"))


def write_at_random(rng, agents):
    """Create, change, comment on or delete a ticket, in a transaction that is sometimes rolled back."""
    ids = list(Ticket.objects.values_list("pk", flat=True))
    origin = by(rng.choice(agents))
    with transaction.atomic():
        if not ids or rng.random() < 0.3:
            actions.create_ticket(origin, title="T", description="D", priority=rng.choice(list(Priority)))
        else:
            with suppress(Ticket.DoesNotExist):
                write_to(rng, rng.choice(ids), origin, agents)
        if rng.random() < 0.2:
            transaction.set_rollback(True)


def write_to(rng, ticket_id, origin, agents):
    changes = {
        "status": rng.choice(list(Status)),
        "priority": rng.choice(list(Priority)),
        "assigned_to": rng.choice([None, *agents]),
    }
    match rng.randrange(4):
        case 0:
            actions.delete_ticket(origin, ticket_id)
        case 1:
            actions.add_comment(origin, ticket_id, content="C")
        case _:
            fields = rng.sample(sorted(changes), rng.randint(1, 3))
            actions.update_ticket(origin, ticket_id, changes={field: changes[field] for field in fields})


def test_counts_are_exact_after_random_writes():
    rng, agents = Random(1), UserFactory.create_batch(2, agent=True)

    for number in range(150):
        write_at_random(rng, agents)
        if number % 40 == 0:
            fold_counts()

    assert counted() == present() != {}


@pytest.mark.django_db(transaction=True)
def test_counts_are_exact_in_every_snapshot_while_others_write_and_fold():
    agents = UserFactory.create_batch(2, agent=True)

    def write(seed):
        try:
            rng = Random(seed)
            for _ in range(40):
                write_at_random(rng, agents)
        finally:
            connection.close()

    def fold_until_written():
        try:
            while not all(writer.done() for writer in writers):
                fold_counts()
        finally:
            connection.close()

    snapshots = []
    with ThreadPoolExecutor() as pool:
        writers = [pool.submit(write, seed) for seed in range(3)]
        folders = [pool.submit(fold_until_written) for _ in range(2)]
        while not all(writer.done() for writer in writers):
            with connection.cursor() as cursor:
                cursor.execute(COUNTED_AND_PRESENT)
                snapshots.append(cursor.fetchone())
        for thread in (*writers, *folders):
            thread.result()

    assert [snapshot for snapshot in snapshots if snapshot[0] != snapshot[1]] == []
    assert counted() == present() != {}


@pytest.mark.django_db(transaction=True)
def test_neither_a_writer_nor_folding_waits_for_a_writer(agent):
    tickets = TicketFactory.create_batch(2)

    def change_and_fold():
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '1s'")
            actions.update_ticket(by(agent), tickets[1].pk, changes={"status": "closed"})
            fold_counts()
        finally:
            connection.close()

    with transaction.atomic(), ThreadPoolExecutor() as pool:
        actions.update_ticket(by(agent), tickets[0].pk, changes={"status": "closed"})
        pool.submit(change_and_fold).result()

    assert counted() == {("closed", Priority.MEDIUM, None): 2}


def test_folding_leaves_one_row_for_each_combination_and_none_without_tickets(agent):
    first, second, third = TicketFactory.create_batch(3)
    actions.update_ticket(by(agent), first.pk, changes={"status": "closed", "assigned_to": agent})
    actions.update_ticket(by(agent), second.pk, changes={"priority": Priority.HIGH})
    actions.delete_ticket(by(agent), third.pk)

    fold_ticket_counts()

    assert set(TicketCount.objects.values_list("status", "priority", "assigned_to_id", "delta")) == {
        ("closed", Priority.MEDIUM, agent.pk, 1),
        ("open", Priority.HIGH, None, 1),
    }


def test_folded_counts_are_left_alone(ticket):
    rows = list(TicketCount.objects.values_list("pk"))

    fold_counts()

    assert list(TicketCount.objects.values_list("pk")) == rows


@pytest.mark.parametrize(
    "write",
    [
        lambda ticket, agent: actions.add_comment(by(agent), ticket.pk, content="C"),
        lambda ticket, agent: actions.update_ticket(by(agent), ticket.pk, changes={"title": "T", "status": "open"}),
    ],
)
def test_what_moves_no_ticket_to_another_list_adds_no_row(ticket, agent, write):
    before = TicketCount.objects.count()

    write(ticket, agent)

    assert TicketCount.objects.count() == before


STATEMENTS = [
    "UPDATE tickets_ticket SET status = 'closed'",
    "UPDATE tickets_ticket SET priority = priority, assigned_to_id = NULL",
    "DELETE FROM tickets_searchdocument; DELETE FROM tickets_ticket WHERE priority > 2",
    "TRUNCATE tickets_ticket CASCADE",
]


@pytest.mark.parametrize("statement", STATEMENTS)
def test_writes_past_the_actions_are_counted(statement):
    for priority in Priority:
        TicketFactory(priority=priority, assigned=True)

    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(statement)

    assert counted() == present()


@pytest.mark.django_db(transaction=True)
def test_the_migration_counts_the_tickets_that_there_are():
    call_command("migrate", "tickets", "0001", verbosity=0)
    for priority in Priority:
        TicketFactory(priority=priority, assigned=True)

    call_command("migrate", "tickets", verbosity=0)

    assert counted() == present() != {}


def test_an_agents_list_has_the_exact_count_for_all_combinations_of_filters(api, agent):
    rng, agents = Random(2), [agent, UserFactory(agent=True)]
    for _ in range(40):
        assignee = rng.choice([None, *agents])
        TicketFactory(status=rng.choice(Status.values), priority=rng.choice(Priority.values), assigned_to=assignee)
    client = api(agent)

    for status, priority, assignee in product(["", *Status], ["", *Priority], ["", *agents]):
        values = {"status": status, "priority": priority, "assigned_to": assignee}
        conditions = {name: value for name, value in values.items() if value}
        names = conditions | ({"priority": priority.name.lower()} if priority else {})
        query = names | ({"assigned_to": assignee.pk} if assignee else {})
        body = client.get("/api/tickets/", query).json()
        assert body["count"] == Ticket.objects.filter(**conditions).count(), conditions


@pytest.mark.parametrize("query", ["", "?page=2", "?status=open&priority=medium", "?assigned_to=1&ordering=priority"])
def test_an_agents_list_counts_no_tickets(api, agent, query):
    TicketFactory.create_batch(21, assigned_to=UserFactory(pk=1, agent=True))

    with CaptureQueriesContext(connection) as queries:
        assert api(agent).get(f"/api/tickets/{query}").json()["count"] == 21

    assert not [query["sql"] for query in queries if "COUNT(" in query["sql"]]


@pytest.mark.parametrize("query", ["", "?status=open", "?search=printer"])
def test_a_customers_list_counts_their_own_tickets(api, customer, ticket, query):
    TicketFactory()

    assert api(customer).get(f"/api/tickets/{query}").json()["count"] == 1


def test_counts_are_folded_regularly():
    assert fold_ticket_counts.name in {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
