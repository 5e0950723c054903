"""Demo tickets are indistinguishable from those that people made through the actions."""

from datetime import timedelta
from itertools import groupby

import pytest
import time_machine
from django.db import connection
from django.utils import timezone

from helpdesk.demo.tests.generate import generate
from helpdesk.tickets import actions
from helpdesk.tickets.actions import Origin
from helpdesk.tickets.models import (
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
from helpdesk.tickets.words import words_in
from helpdesk.users.models import Role, User

pytestmark = pytest.mark.django_db


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
        assert sorted(words.pop(ticket.pk)) == sorted(words_in(*texts))
    assert words == {}


def test_the_events_have_ids_of_their_own():
    generate(seed=5)
    generate(seed=5)

    uuids = set(TicketEvent.objects.values_list("uuid", flat=True))
    assert len(uuids) == TicketEvent.objects.count()
    assert {uuid.version for uuid in uuids} == {4}


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


def test_roles_of_the_demo_match_the_rules():
    generate(tickets=100)

    assert not Ticket.objects.exclude(created_by__role=Role.CUSTOMER).exists()
    assert not Ticket.objects.filter(assigned_to__role=Role.CUSTOMER).exists()
    changes = TicketEvent.objects.exclude(kind__in=[EventKind.TICKET_CREATED, EventKind.COMMENT_ADDED])
    assert not changes.filter(actor__role=Role.CUSTOMER).exists()


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


def test_no_trigger_but_those_of_foreign_keys_is_passed_over():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgrelid::regclass::text LIKE 'tickets_%'"
        )
        assert cursor.fetchall() == []
