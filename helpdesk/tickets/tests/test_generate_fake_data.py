"""Demo tickets are indistinguishable from those that people made through the actions."""

import re
from datetime import timedelta
from io import StringIO
from itertools import groupby

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import TestCase
from django.utils import timezone

from helpdesk.tickets import actions
from helpdesk.tickets.actions import Origin
from helpdesk.tickets.demo import generation
from helpdesk.tickets.demo.texts import FOLDER, PERSONAL_SLOTS, SLOT, texts_in
from helpdesk.tickets.management.commands import generate_fake_data
from helpdesk.tickets.models import (
    TITLE_LENGTH,
    Comment,
    EventKind,
    EventSource,
    Priority,
    SearchDocument,
    SearchWord,
    Status,
    Ticket,
    TicketEvent,
)
from helpdesk.tickets.search import words_in
from helpdesk.users.models import Language, Role, User

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def in_a_transaction(request, monkeypatch):
    """VACUUM refuses to run inside the transaction of a test."""
    if not request.node.get_closest_marker("django_db").kwargs.get("transaction"):
        monkeypatch.setattr(generate_fake_data, "settle_tables", lambda: None)


def generate(**options):
    small = {"tickets": 40, "comments_per_ticket": 5, "customers": 6, "agents": 3, "seed": 7}
    stdout = StringIO()
    with TestCase.captureOnCommitCallbacks(execute=True):
        call_command("generate_fake_data", **(small | options), stdout=stdout)
    return stdout.getvalue()


def history_of(ticket):
    return list(ticket.events.order_by("id").select_related("actor", "comment"))


def calls_of(ticket):
    """Return the events of a ticket, those of one call together: they share their time."""
    return [list(events) for _time, events in groupby(history_of(ticket), key=lambda event: event.created_at)]


def facts_of(ticket):
    """Return all that is known of a ticket, but for ids, UUIDs and the times of announcements."""
    columns = ["kind", "actor_id", "source", "old", "new", "comment__content", "created_at"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT words::text FROM tickets_searchdocument WHERE ticket_id = %s", [ticket.pk])
        words = cursor.fetchone()
    return {
        "ticket": Ticket.objects.filter(pk=ticket.pk).values().get() | {"id": None},
        "comments": list(ticket.comments.order_by("id").values_list("author_id", "content", "created_at")),
        "events": list(ticket.events.order_by("id").values_list(*columns)),
        "words": words,
    }


def live_through(ticket):
    """Do with the actions, at the recorded times, what the history of a ticket tells; return the new ticket."""
    (created,), *calls = calls_of(ticket)
    with time_machine.travel(created.created_at, tick=False):
        again = actions.create_ticket(
            Origin(created.actor, EventSource.COMMAND),
            title=ticket.title,
            description=ticket.description,
            priority=Priority[created.new["priority"].upper()],
        )
    for events in calls:
        with time_machine.travel(events[0].created_at, tick=False):
            act(Origin(events[0].actor, EventSource.COMMAND), again.pk, events)
    return again


def act(origin, ticket_id, events):
    if events[0].kind == EventKind.COMMENT_ADDED:
        actions.add_comment(origin, ticket_id, content=events[0].comment.content)
    else:
        actions.update_ticket(origin, ticket_id, changes=dict(change_of(event) for event in events))


def change_of(event):
    if event.kind == EventKind.STATUS_CHANGED:
        return "status", event.new
    if event.kind == EventKind.PRIORITY_CHANGED:
        return "priority", Priority[event.new.upper()]
    return "assigned_to", User.objects.get(pk=event.new["id"])


@pytest.mark.parametrize("comments_per_ticket", [0, 1, 5, 12])
def test_the_actions_would_have_written_the_same(comments_per_ticket):
    generate(tickets=25, comments_per_ticket=comments_per_ticket)

    for ticket in list(Ticket.objects.order_by("id")):
        assert facts_of(live_through(ticket)) == facts_of(ticket)


def test_the_known_words_are_those_of_all_tickets_with_the_same_stems():
    generate(tickets=25)
    learnt = set(SearchWord.objects.values_list("word", "spanish_stem", "english_stem"))
    tickets = list(Ticket.objects.all())
    SearchWord.objects.all().delete()

    for ticket in tickets:
        live_through(ticket)

    assert set(SearchWord.objects.values_list("word", "spanish_stem", "english_stem")) == learnt


def test_the_words_of_a_ticket_are_those_of_its_texts():
    generate(tickets=300)

    with connection.cursor() as cursor:
        cursor.execute("SELECT ticket_id, tsvector_to_array(words) FROM tickets_searchdocument")
        words = dict(cursor.fetchall())
    for ticket in Ticket.objects.prefetch_related("comments"):
        texts = [ticket.title, ticket.description, *(comment.content for comment in ticket.comments.all())]
        assert sorted(words.pop(ticket.pk)) == words_in(" ".join(texts))
    assert words == {}


def test_it_makes_as_many_as_it_was_told():
    generate(tickets=40, comments_per_ticket=3, customers=6, agents=3)

    assert set(User.objects.values_list("username", "role")) == {
        *((f"customer_{number}", "customer") for number in range(1, 7)),
        *((f"agent_{number}", "agent") for number in range(1, 4)),
    }
    assert Ticket.objects.count() == 40
    assert set(Ticket.objects.values_list("comments_count", flat=True)) == {3}
    assert Comment.objects.count() == 120
    assert SearchDocument.objects.count() == 40


def test_the_users_log_in_with_the_known_password(api):
    generate(tickets=1)

    for username in ("customer_6", "agent_3"):
        response = api().post("/api/auth/token/", {"username": username, "password": "testpass123"})
        assert response.status_code == 200


def test_the_users_have_names_of_people_and_addresses_of_their_own():
    generate(tickets=0, customers=100, agents=20)

    assert not User.objects.exclude(name__regex=r"^[^\W\d_]+ [^\W\d_]+$").exists()
    assert len(set(User.objects.values_list("name", flat=True))) == 120
    assert User.objects.filter(email__regex=r"^(customer|agent)_\d+@example\.com$").count() == 120


def test_the_events_have_ids_of_their_own():
    generate(seed=5)
    generate(seed=5)

    uuids = set(TicketEvent.objects.values_list("uuid", flat=True))
    assert len(uuids) == TicketEvent.objects.count()
    assert {uuid.version for uuid in uuids} == {4}


def test_nobody_is_told(mailoutbox):
    generate()

    assert not TicketEvent.objects.filter(announced_at=None).exists()
    assert mailoutbox == []


def test_everything_has_happened_by_now_and_in_order():
    generate(tickets=200)

    tickets = list(Ticket.objects.order_by("id"))
    assert [ticket.created_at for ticket in tickets] == sorted(ticket.created_at for ticket in tickets)
    assert max(User.objects.values_list("date_joined", flat=True)) < tickets[0].created_at
    assert max(ticket.updated_at for ticket in tickets) <= timezone.now()
    assert tickets[0].created_at < timezone.now() - timedelta(days=150)
    for ticket in tickets:
        times = [event.created_at for event in history_of(ticket)]
        assert times == sorted(times)
        assert times[0] == ticket.created_at


def test_a_conversation_fits_its_ticket():
    generate(tickets=300)

    for ticket in Ticket.objects.filter(status__in=[Status.RESOLVED, Status.CLOSED]):
        kinds = [(event.kind, event.new) for event in history_of(ticket)]
        assert (EventKind.STATUS_CHANGED, Status.RESOLVED) in kinds
        assert ticket.assigned_to is not None
    for comment in Comment.objects.select_related("ticket", "author"):
        assert comment.author.is_agent or comment.author_id == comment.ticket.created_by_id
    assert set(Ticket.objects.values_list("status", flat=True)) == set(Status.values)
    assert set(Ticket.objects.values_list("priority", flat=True)) == set(Priority.values)


def test_a_second_run_adds_more_tickets_of_the_same_users():
    generate(tickets=10, seed=1)
    users = set(User.objects.values_list("id", "password"))

    generate(tickets=15, seed=2)

    assert Ticket.objects.count() == 25
    assert set(User.objects.values_list("id", "password")) == users


def test_the_same_seed_makes_the_same_tickets():
    def told():
        tickets = Ticket.objects.order_by("id").prefetch_related("comments")
        return [
            (
                *(ticket.title, ticket.description, ticket.status, ticket.priority),
                *(ticket.created_by_id, ticket.assigned_to_id),
                *((comment.author_id, comment.content) for comment in ticket.comments.all()),
            )
            for ticket in tickets
        ]

    generate(seed=3)
    first = told()
    with time_machine.travel(timezone.now() + timedelta(days=3, hours=5)):
        generate(seed=3, flush=True)
    second = told()
    generate(seed=4, flush=True)

    assert second == first
    assert told() != first


def test_it_says_the_seed_that_it_chose():
    assert re.search(r"--seed=\d+ makes the same tickets again", generate(tickets=1, seed=None))


def test_a_flush_takes_all_tickets_and_leaves_the_users(ticket):
    generate(tickets=5, flush=True)

    assert not Ticket.objects.filter(pk=ticket.pk).exists()
    assert Ticket.objects.count() == 5
    assert SearchDocument.objects.count() == 5
    assert TicketEvent.objects.filter(kind=EventKind.TICKET_CREATED).count() == 5
    assert User.objects.filter(pk=ticket.created_by_id).exists()


def test_cached_lists_are_outdated(api, agent, customer):
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


def test_ids_drawn_by_others_meanwhile_are_left_out(monkeypatch, agent):
    drawn = iter([[11, 12, 14], [21, 22, 25, 26, 27, 28]])
    monkeypatch.setattr(generation, "reserve_ids", lambda table, count: next(drawn))

    generate(tickets=3, comments_per_ticket=2)

    assert list(Ticket.objects.order_by("id").values_list("id", flat=True)) == [11, 12, 14]
    assert list(Comment.objects.order_by("id").values_list("id", "ticket_id")) == [
        *((21, 11), (22, 11), (25, 12), (26, 12), (27, 14), (28, 14)),
    ]


def test_an_interrupted_run_leaves_whole_batches(monkeypatch):
    load, loads = generation.load, []

    def load_once(batch):
        if loads:
            raise KeyboardInterrupt
        loads.append(load(batch))

    monkeypatch.setattr(generation, "load", load_once)
    monkeypatch.setattr(generation, "ROWS_PER_BATCH", 60)

    with pytest.raises(CommandError, match=r"Stopped: 10 of 40 tickets are written, with all that belongs to them\."):
        generate(tickets=40)

    assert Ticket.objects.count() == 10
    assert Comment.objects.count() == 50
    assert SearchDocument.objects.count() == 10
    assert TicketEvent.objects.filter(kind=EventKind.COMMENT_ADDED).count() == 50


@pytest.mark.django_db(transaction=True)
def test_afterwards_the_planner_knows_the_rows_and_the_session_is_as_before():
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        timeout = cursor.fetchone()

        call_command("generate_fake_data", tickets=50, customers=2, agents=1, verbosity=0)

        cursor.execute("SELECT reltuples FROM pg_class WHERE oid = 'tickets_ticket'::regclass")
        assert cursor.fetchone() == (50,)
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == timeout
        cursor.execute("SHOW session_replication_role")
        assert cursor.fetchone() == ("origin",)


def test_no_trigger_but_those_of_foreign_keys_is_passed_over():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgrelid::regclass::text LIKE 'tickets_%'"
        )
        assert cursor.fetchall() == []


def test_every_key_leads_to_a_row():
    generate(tickets=30)

    with connection.cursor() as cursor:
        cursor.execute("SHOW session_replication_role")
        assert cursor.fetchone() == ("origin",)
    assert not Ticket.objects.exclude(created_by__in=User.objects.all()).exists()
    assert not Ticket.objects.filter(assigned_to__isnull=False).exclude(assigned_to__in=User.objects.all()).exists()
    assert not Comment.objects.exclude(ticket__in=Ticket.objects.all(), author__in=User.objects.all()).exists()
    assert not SearchDocument.objects.exclude(ticket__in=Ticket.objects.all()).exists()
    events = TicketEvent.objects.filter(ticket__in=Ticket.objects.all(), actor__in=User.objects.all())
    assert events.count() == TicketEvent.objects.count()
    assert events.filter(comment__in=Comment.objects.all()).count() == Comment.objects.count()


def test_it_works_for_a_role_that_may_not_pass_over_foreign_keys():
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE plain")
        cursor.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO plain")
        cursor.execute("GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO plain")
        cursor.execute("SET LOCAL ROLE plain")

        generate(tickets=30)

        cursor.execute("RESET ROLE")
    assert Ticket.objects.count() == 30


def test_a_user_deleted_meanwhile_ends_the_run(monkeypatch):
    load = generation.load

    def delete_and_load(batch):
        User.objects.filter(username="customer_1").delete()
        load(batch)

    monkeypatch.setattr(generation, "load", delete_and_load)

    with pytest.raises(CommandError, match="deleted meanwhile"):
        generate(customers=1)

    assert not Ticket.objects.exists()


def test_without_a_terminal_the_progress_is_plain_lines(monkeypatch):
    monkeypatch.setattr(generation, "ROWS_PER_BATCH", 60)

    output = generate(tickets=40)

    assert "10 of 40 tickets\n20 of 40 tickets\n30 of 40 tickets\n40 of 40 tickets\n" in output
    assert re.search(r"40 tickets, 200 comments and \d+ events in [\d.]+ s, [\d,]+ rows a second\.", output)


def test_it_is_silent_when_told():
    assert generate(tickets=3, verbosity=0) == ""


@pytest.mark.parametrize("locale, languages", [("en", {"en"}), ("es", {"es"}), ("mixed", {"en", "es"})])
def test_the_texts_are_in_the_chosen_languages(locale, languages):
    generate(tickets=60, locale=locale)

    assert set(User.objects.values_list("language", flat=True)) == languages
    titles = Ticket.objects.values_list("title", flat=True)
    assert {language for language in Language for title in titles if could_be_in(language, title)} == languages


def could_be_in(language, title):
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
def test_senseless_numbers_are_refused_and_nothing_is_written(options, message):
    with pytest.raises(CommandError, match=message):
        generate(**options)

    assert not User.objects.exists()


def test_a_taken_name_is_a_clear_refusal(customer):
    User.objects.filter(pk=customer.pk).update(username="agent_2")

    with pytest.raises(CommandError, match="agent_2 is needed as an active agent"):
        generate()

    assert not Ticket.objects.exists()


def test_production_refuses_unless_somebody_is_sure(settings):
    settings.SETTINGS_MODULE = "config.settings.production"

    with pytest.raises(CommandError, match="--yes"):
        generate()
    assert not User.objects.exists()

    generate(yes=True)
    assert Ticket.objects.count() == 40


@pytest.mark.parametrize("language", Language)
def test_there_is_enough_to_say(language):
    texts = texts_in(language)
    problems = [problem for topic in texts.topics for problem in topic.problems]
    questions = [problem.question for problem in problems] + [
        pair for topic in texts.topics for pair in topic.questions
    ]
    by_agents = [*texts.acknowledgements, *texts.second_solutions, *(progress for _nudge, progress in texts.reminders)]
    by_agents += [*(question for question, _answer in questions), *(problem.solution for problem in problems)]
    by_customers = [*texts.additions, *texts.thanks, *texts.relapses, *(nudge for nudge, _progress in texts.reminders)]
    by_customers += [answer for _question, answer in questions]

    assert len({problem.title for problem in problems}) >= 60
    assert len({problem.description for problem in problems}) >= 60
    assert len(set(by_agents)) >= 80
    assert len(set(by_customers)) >= 80


def test_both_languages_know_the_same_topics_and_slots():
    english, spanish = ({path.name for path in (FOLDER / language).iterdir()} for language in ("en", "es"))
    assert english == spanish
    assert texts_in(Language.ENGLISH).slots.keys() == texts_in(Language.SPANISH).slots.keys()


@pytest.mark.parametrize("language", Language)
def test_every_slot_is_known_and_stands_between_words(language):
    text = "\n".join(path.read_text() for path in (FOLDER / language).glob("*.txt"))

    assert set(SLOT.findall(text)) <= {*texts_in(language).slots, *PERSONAL_SLOTS}
    assert not re.search(r"\w\{|\}\w", text)


@pytest.mark.parametrize("language", Language)
def test_titles_are_one_line_of_bounded_length(language):
    texts = texts_in(language)
    longest = {slot: max((filling.text for filling in fillings), key=len) for slot, fillings in texts.slots.items()}

    for topic in texts.topics:
        for problem in topic.problems:
            assert len(problem.title.text.format_map(longest)) <= TITLE_LENGTH
            assert problem.title.text.isprintable()


def test_roles_of_the_demo_match_the_rules():
    generate(tickets=100)

    assert not Ticket.objects.exclude(created_by__role=Role.CUSTOMER).exists()
    assert not Ticket.objects.filter(assigned_to__role=Role.CUSTOMER).exists()
    changes = TicketEvent.objects.exclude(kind__in=[EventKind.TICKET_CREATED, EventKind.COMMENT_ADDED])
    assert not changes.filter(actor__role=Role.CUSTOMER).exists()
