"""The command that fills a helpdesk for a demo."""

import re
from datetime import timedelta

import pytest
import time_machine
from django.core.management import CommandError
from django.db import connection
from django.utils import timezone

from helpdesk.demo import generation, rows
from helpdesk.demo.rows import Batch
from helpdesk.demo.tests.generate import generate
from helpdesk.demo.texts import texts_in
from helpdesk.tickets.models import (
    Comment,
    EventKind,
    SearchDocument,
    Ticket,
    TicketCount,
    TicketEvent,
)
from helpdesk.users.models import Language, User

pytestmark = pytest.mark.django_db


def test_makes_the_numbers_asked_for():
    generate(tickets=40, comments_per_ticket=3, customers=6, agents=3)

    assert set(User.objects.values_list("username", "role")) == {
        *((f"customer_{number}", "customer") for number in range(1, 7)),
        *((f"agent_{number}", "agent") for number in range(1, 4)),
    }
    assert Ticket.objects.count() == 40
    assert set(Ticket.objects.values_list("comments_count", flat=True)) == {3}
    assert Comment.objects.count() == 120
    assert SearchDocument.objects.count() == 40


def test_the_users_log_in_with_the_demo_password(api):
    generate(tickets=1)

    for username in ("customer_6", "agent_3"):
        response = api().post("/api/auth/token/", {"username": username, "password": "testpass123"})
        assert response.status_code == 200


def test_the_users_have_full_names_and_unique_addresses():
    generate(tickets=0, customers=100, agents=20)

    assert not User.objects.exclude(name__regex=r"^[^\W\d_]+ [^\W\d_]+$").exists()
    assert len(set(User.objects.values_list("name", flat=True))) == 120
    assert User.objects.filter(email__regex=r"^(customer|agent)_\d+@example\.com$").count() == 120


def test_nobody_is_notified(mailoutbox):
    generate()

    assert not TicketEvent.objects.filter(announced_at=None).exists()
    assert mailoutbox == []


def test_a_second_run_adds_more_tickets_of_the_same_users():
    generate(tickets=10, seed=1)
    users = set(User.objects.values_list("id", "password"))

    generate(tickets=15, seed=2)

    assert Ticket.objects.count() == 25
    assert set(User.objects.values_list("id", "password")) == users


def test_the_same_seed_makes_the_same_tickets():
    def generated(**options):
        generate(flush=True, **options)
        columns = ["title", "description", "status", "priority", "created_by", "assigned_to"]
        tickets = Ticket.objects.order_by("id").values_list(*columns)
        return list(tickets), list(Comment.objects.order_by("id").values_list("author", "content"))

    first = generated(seed=3)
    with time_machine.travel(timezone.now() + timedelta(days=3, hours=5)):
        assert generated(seed=3) == first
    assert generated(seed=4) != first


def test_the_output_has_the_random_seed():
    assert re.search(r"--seed=\d+ makes the same tickets again", generate(tickets=1, seed=None))


def test_flush_deletes_all_tickets_and_no_users(ticket):
    generate(tickets=5, flush=True)

    assert not Ticket.objects.filter(pk=ticket.pk).exists()
    assert Ticket.objects.count() == 5
    assert SearchDocument.objects.count() == 5
    assert TicketEvent.objects.filter(kind=EventKind.TICKET_CREATED).count() == 5
    assert User.objects.filter(pk=ticket.created_by_id).exists()


def test_cached_lists_are_invalidated(api, agent, customer):
    generate(tickets=3, customers=1)
    clients = [api(agent), api(User.objects.get(username="customer_1"))]
    assert [client.get("/api/tickets/").json()["count"] for client in clients] == [3, 3]

    generate(tickets=4, customers=1)

    assert [client.get("/api/tickets/").json()["count"] for client in clients] == [7, 7]


def test_tickets_are_created_and_commented_afterwards(api, agent):
    generate(tickets=5)

    created = api(agent).post("/api/tickets/", {"title": "New", "description": "One more", "priority": "low"})
    assert created.status_code == 201
    assert created.json()["id"] == max(Ticket.objects.values_list("id", flat=True))
    commented = api(agent).post("/api/comments/", {"ticket": created.json()["id"], "content": "Hello"})
    assert commented.status_code == 201


def test_ids_that_others_have_taken_are_left_out(monkeypatch):
    ids = iter([[11, 12, 14], [21, 22, 25, 26, 27, 28]])
    monkeypatch.setattr(rows, "reserve_ids", lambda table, count: next(ids))

    generate(tickets=3, comments_per_ticket=2)

    assert list(Ticket.objects.order_by("id").values_list("id", flat=True)) == [11, 12, 14]
    assert list(Comment.objects.order_by("id").values_list("id", "ticket_id")) == [
        *((21, 11), (22, 11), (25, 12), (26, 12), (27, 14), (28, 14)),
    ]


def test_an_interrupted_run_leaves_whole_batches(monkeypatch):
    writes = iter([Batch.write])

    def write_once(*args, **options):
        if (write := next(writes, None)) is None:
            raise KeyboardInterrupt
        write(*args, **options)

    monkeypatch.setattr(Batch, "write", write_once)
    monkeypatch.setattr(generation, "ROWS_PER_BATCH", 60)

    with pytest.raises(CommandError, match="Stopped: at least 10 of 40 tickets are written"):
        generate(tickets=40)

    assert Ticket.objects.count() == 10
    assert Comment.objects.count() == 50
    assert SearchDocument.objects.count() == 10
    assert TicketEvent.objects.filter(kind=EventKind.COMMENT_ADDED).count() == 50


def test_afterwards_the_planner_has_statistics():
    generate(tickets=50)

    with connection.cursor() as cursor:
        cursor.execute("SELECT reltuples FROM pg_class WHERE oid = 'tickets_ticket'::regclass")
        assert cursor.fetchone() == (50,)


@pytest.mark.parametrize("flush", [False, True])
def test_the_tickets_are_counted_in_few_rows(api, agent, ticket, flush):
    generate(tickets=50, flush=flush)

    combinations = Ticket.objects.values("status", "priority", "assigned_to").order_by().distinct()
    assert api(agent).get("/api/tickets/").json()["count"] == Ticket.objects.count() == (50 if flush else 51)
    assert TicketCount.objects.count() == combinations.count()


@pytest.mark.django_db(transaction=True)
def test_a_user_who_is_deleted_meanwhile_ends_the_run(monkeypatch):
    write = Batch.write

    def delete_and_write(*args, **options):
        User.objects.filter(username="customer_1").delete()
        write(*args, **options)

    monkeypatch.setattr(Batch, "write", delete_and_write)

    with pytest.raises(CommandError, match="deleted meanwhile"):
        generate(customers=1)

    assert not Ticket.objects.exists()


def test_shows_its_progress(monkeypatch):
    monkeypatch.setattr(generation, "ROWS_PER_BATCH", 60)

    output = generate(tickets=40)

    assert "10 of 40 tickets\n20 of 40 tickets\n30 of 40 tickets\n40 of 40 tickets\n" in output
    assert re.search(r"40 tickets, 200 comments and \d+ events in [\d.]+ s, [\d,]+ rows a second\.", output)


def test_verbosity_0_has_no_output():
    assert generate(tickets=3, verbosity=0) == ""


@pytest.mark.parametrize("locale, languages", [("en", {"en"}), ("es", {"es"}), ("mixed", {"en", "es"})])
def test_the_texts_are_in_the_chosen_languages(locale, languages):
    generate(tickets=60, locale=locale)

    assert set(User.objects.values_list("language", flat=True)) == languages
    titles = Ticket.objects.values_list("title", flat=True)
    assert {language for language in Language for title in titles if matches_a_template(language, title)} == languages


def matches_a_template(language, title):
    templates = [problem.title.text for topic in texts_in(language).topics for problem in topic.problems]
    patterns = [".+".join(map(re.escape, re.split(r"\{\w+\}", template))) for template in templates]
    return any(re.fullmatch(pattern, title) for pattern in patterns)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"tickets": -1}, "--tickets cannot be negative"),
        ({"comments_per_ticket": -1}, "--comments-per-ticket cannot be negative"),
        ({"customers": -3}, "--customers cannot be negative"),
        ({"agents": -3}, "--agents cannot be negative"),
        ({"customers": 0}, "at least one customer"),
        ({"agents": 0}, "at least one customer to open them and one agent"),
        ({"comments_per_ticket": 10_001}, "at most 10,000"),
    ],
)
def test_invalid_numbers_are_refused_and_nothing_is_written(options, message):
    with pytest.raises(CommandError, match=message):
        generate(**options)

    assert not User.objects.exists()


def test_a_taken_name_is_refused(customer):
    User.objects.filter(pk=customer.pk).update(username="agent_2")

    with pytest.raises(CommandError, match="agent_2 is needed as an active agent"):
        generate()

    assert not Ticket.objects.exists()


def test_production_refuses_without_yes(settings):
    settings.SETTINGS_MODULE = "config.settings.production"

    with pytest.raises(CommandError, match="--yes"):
        generate()
    assert not User.objects.exists()

    generate(yes=True)
    assert Ticket.objects.count() == 40
