"""Every committed event is announced once and in order, whatever fails meanwhile."""

import threading
import time
from contextlib import contextmanager

import psycopg
import pytest
from django.db import connection

from helpdesk.core.redis import circuit
from helpdesk.testing import count_queries, wait_until
from helpdesk.tickets import actions, announcer
from helpdesk.tickets.announcer import Announcer, ticket_events_committed, try_become_leader
from helpdesk.tickets.models import TicketEvent
from helpdesk.tickets.tests.factories import TicketFactory, by
from helpdesk.users.actions import update_profile
from helpdesk.users.tests.factories import UserFactory


@contextmanager
def connected(receiver):
    ticket_events_committed.connect(receiver)
    try:
        yield
    finally:
        ticket_events_committed.disconnect(receiver)


def comment_on(ticket, content="Hello"):
    actions.add_comment(by(ticket.created_by), ticket.pk, content=content)


@pytest.mark.django_db
def test_events_are_announced_once_in_order_and_marked(ticket, monkeypatch):
    monkeypatch.setattr(announcer, "BATCH_SIZE", 2)
    for _ in range(5):
        comment_on(ticket)
    received = []

    def receive(events, **kwargs):
        received.extend(event.pk for event in events)

    with connected(receive):
        Announcer().announce_all()
        Announcer().announce_all()

    assert received == sorted(TicketEvent.objects.values_list("pk", flat=True))
    assert not TicketEvent.objects.unannounced().exists()


@pytest.mark.django_db
def test_an_event_whose_receiver_fails_is_retried_and_delays_no_other(ticket, caplog, monkeypatch):
    for _ in range(3):
        comment_on(ticket)
    failing = TicketEvent.objects.order_by("pk")[1].pk
    received = []

    def receive(events, **kwargs):
        if failing in {event.pk for event in events}:
            raise ValueError("cannot read this")
        received.extend(event.pk for event in events)

    worker = Announcer()
    with connected(receive):
        worker.announce_all()
        worker.announce_all()

    assert set(received) == set(TicketEvent.objects.exclude(pk=failing).values_list("pk", flat=True))
    assert list(TicketEvent.objects.unannounced().values_list("pk", flat=True)) == [failing]
    assert caplog.text.count("Not announced") == 3  # with both others, with one of them, and alone

    failing = None
    monkeypatch.setattr(time, "monotonic", lambda: worker.retry_at)
    with connected(receive):
        worker.announce_all()

    assert not TicketEvent.objects.unannounced().exists()


@pytest.mark.django_db
def test_a_transaction_has_fewer_events_the_more_agents_there_are(ticket, monkeypatch):
    UserFactory.create_batch(5, agent=True)
    UserFactory(agent=True, is_active=False)
    monkeypatch.setattr(announcer, "EVENTS_TIMES_AGENTS", 10)
    for _ in range(5):
        comment_on(ticket)
    sizes = []

    with connected(lambda events, **kwargs: sizes.append(len(events))):
        Announcer().announce_all()

    assert sizes == [2, 2, 1]


@pytest.mark.django_db(transaction=True)
def test_events_that_take_too_long_together_are_announced_in_smaller_transactions(ticket):
    for _ in range(4):
        comment_on(ticket)
    sizes = []

    def receive(events, **kwargs):
        sizes.append(len(events))
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = 200")
            cursor.execute("SELECT pg_sleep(%s)", [10 if len(events) > 2 else 0])

    with connected(receive):
        Announcer().announce_all()

    assert sizes == [4, 2, 2]
    assert not TicketEvent.objects.unannounced().exists()


@pytest.mark.django_db
def test_what_a_receiver_wrote_is_rolled_back_when_it_fails(ticket):
    comment_on(ticket)

    def write_and_fail(**kwargs):
        TicketFactory(title="Written by a receiver")
        raise ValueError

    with connected(write_and_fail):
        Announcer().announce_all()

    assert not type(ticket).objects.filter(title="Written by a receiver").exists()


def comments_counted(api, user):
    return [item["comments_count"] for item in api(user).get("/api/tickets/").json()["results"]]


def announce_and_invalidate(worker):
    worker.announce_all()
    worker.invalidate_lists()


@pytest.mark.django_db
def test_what_a_dead_process_did_not_invalidate_is_invalidated(api, agent, ticket):
    assert comments_counted(api, agent) == [0]
    comment_on(ticket)  # nothing runs after its commit
    assert comments_counted(api, agent) == [0]

    announce_and_invalidate(Announcer())

    assert comments_counted(api, agent) == [1]


@pytest.mark.django_db
def test_what_a_request_has_invalidated_is_not_invalidated_again(api, agent, ticket):
    client = api(agent)
    client.post("/api/comments/", {"ticket": ticket.pk, "content": "Hello"})
    client.patch(f"/api/tickets/{ticket.pk}/", {"status": "closed", "priority": "low"})
    assert comments_counted(api, agent) == [1]

    announce_and_invalidate(Announcer())

    assert count_queries(client, "/api/tickets/") == 1
    assert not TicketEvent.objects.unannounced().exists()


@pytest.mark.django_db
def test_lists_are_invalidated_when_redis_is_back(api, agent, ticket, valkey):
    server, worker = valkey(), Announcer()
    assert comments_counted(api, agent) == [0]
    with hung(server, api, agent):
        api(agent).post("/api/comments/", {"ticket": ticket.pk, "content": "Hello"})
        announce_and_invalidate(worker)
    assert comments_counted(api, agent) == [0]

    worker.invalidate_lists()

    assert comments_counted(api, agent) == [1]


@pytest.mark.django_db(transaction=True)
def test_of_two_announcers_one_leads():
    with psycopg.connect(**connection.get_connection_params()) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [announcer.LEADER_LOCK])
        assert not try_become_leader()
        other.execute("SELECT pg_advisory_unlock(%s)", [announcer.LEADER_LOCK])

        assert try_become_leader()

    connection.close()


@contextmanager
def running(worker):
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield worker
    finally:
        worker.stop()
        thread.join(timeout=10)


def kill_idle_announcer():
    """End the connection that holds the lock, while it waits for a notification."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with connection.cursor() as cursor:
            cursor.execute(
                """
                SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_stat_activity USING (pid)
                WHERE datname = current_database() AND locktype = 'advisory' AND state = 'idle'
                    AND clock_timestamp() - state_change > interval '0.2 s'
                """,
            )
            if cursor.fetchall():
                return
    pytest.fail("no announcer waits")


@pytest.mark.django_db(transaction=True)
def test_a_commit_wakes_the_announcer_also_after_its_connection_was_killed(customer):
    ticket = TicketFactory(created_by=customer)
    announced = threading.Event()

    def receive(**kwargs):
        announced.set()

    with running(Announcer()), connected(receive):
        comment_on(ticket)
        assert announced.wait(timeout=10)
        announced.clear()
        kill_idle_announcer()
        comment_on(ticket)

        assert announced.wait(timeout=10)


def creator_names(api, user):
    return [item["created_by"]["name"] for item in api(user).get("/api/tickets/").json()["results"]]


@contextmanager
def hung(server, api, user):
    server.hang()
    # This opens the circuit: no command waits in a buffer until the server goes on.
    api(user).get("/api/tickets/")
    yield
    server.go_on()
    circuit.close()


def wait_until_invalidated(client):
    wait_until(lambda: count_queries(client, "/api/tickets/") > 1)


@pytest.mark.django_db(transaction=True)
def test_a_rename_while_redis_hangs_shows_when_it_is_back(api, agent, ticket, valkey):
    server = valkey()
    creator_names(api, agent)
    with running(Announcer()):
        wait_until_invalidated(api(agent))  # it leads

        with hung(server, api, agent):
            update_profile(ticket.created_by, changes={"name": "Alice Cooper"})

        wait_until(lambda: creator_names(api, agent) == ["Alice Cooper"])


@pytest.mark.django_db(transaction=True)
def test_a_rename_that_no_announcer_was_notified_of_shows_once_one_leads(api, agent, ticket, valkey):
    server = valkey()
    creator_names(api, agent)
    with hung(server, api, agent):
        update_profile(ticket.created_by, changes={"name": "Alice Cooper"})
    assert creator_names(api, agent) != ["Alice Cooper"]

    with running(Announcer()):
        wait_until(lambda: creator_names(api, agent) == ["Alice Cooper"])


@pytest.mark.django_db(transaction=True)
def test_all_lists_are_invalidated_when_the_announcer_listens_again(api, agent):
    client = api(agent)
    count_queries(client, "/api/tickets/")
    with running(Announcer()):
        wait_until_invalidated(client)
        kill_idle_announcer()

        wait_until_invalidated(client)


@pytest.mark.django_db(transaction=True)
def test_all_payloads_of_several_notifications_are_returned():
    assert try_become_leader()
    with psycopg.connect(**connection.get_connection_params(), autocommit=True) as other:
        other.execute("SELECT pg_notify('ticket_events', scope) FROM unnest(ARRAY['', 'a', 'b']) AS scope")

    assert announcer.wait_for_notifications() == {"a", "b"}

    connection.close()
