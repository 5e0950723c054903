"""Demo tickets are indistinguishable from those written by the actions."""

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
    SearchWord,
    Status,
    Ticket,
    TicketEvent,
)
from helpdesk.tickets.search_index import words_in
from helpdesk.users.models import Role, User

pytestmark = pytest.mark.django_db


def events_by_call(ticket):
    """Return the events of a ticket, grouped by the call of an action that recorded them: they share their time."""
    events = ticket.events.order_by("id").select_related("actor", "comment")
    return [list(events_of_call) for _time, events_of_call in groupby(events, key=lambda event: event.created_at)]


def stored_rows(ticket):
    """Return all that is stored about a ticket, but for ids, UUIDs and the times of announcements."""
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


def replay(ticket):
    """Call the actions that the events of a ticket record, at their times; return the new ticket."""
    (created,), *calls = events_by_call(ticket)
    with time_machine.travel(created.created_at, tick=False):
        replayed = actions.create_ticket(
            Origin(created.actor, EventSource.COMMAND),
            title=ticket.title,
            description=ticket.description,
            priority=Priority[created.new["priority"].upper()],
        )
    for events in calls:
        with time_machine.travel(events[0].created_at, tick=False):
            call_action(Origin(events[0].actor, EventSource.COMMAND), replayed.pk, events)
    return replayed


def call_action(origin, ticket_id, events):
    if events[0].kind == EventKind.COMMENT_ADDED:
        actions.add_comment(origin, ticket_id, content=events[0].comment.content)
    else:
        actions.update_ticket(origin, ticket_id, changes=dict(changed_field(event) for event in events))


def changed_field(event):
    if event.kind == EventKind.STATUS_CHANGED:
        return "status", event.new
    if event.kind == EventKind.PRIORITY_CHANGED:
        return "priority", Priority[event.new.upper()]
    return "assigned_to", User.objects.get(pk=event.new["id"])


@pytest.mark.parametrize("comments_per_ticket", [0, 1, 5, 12])
def test_the_actions_would_have_written_the_same(comments_per_ticket):
    generate(tickets=15, comments_per_ticket=comments_per_ticket)

    for ticket in list(Ticket.objects.order_by("id")):
        assert stored_rows(replay(ticket)) == stored_rows(ticket)


def test_the_search_words_are_those_that_the_actions_would_have_added():
    generate(tickets=25)
    added = set(SearchWord.objects.values_list("word", "spanish_stem", "english_stem"))
    tickets = list(Ticket.objects.all())
    SearchWord.objects.all().delete()

    for ticket in tickets:
        replay(ticket)

    assert set(SearchWord.objects.values_list("word", "spanish_stem", "english_stem")) == added


def test_the_words_of_a_ticket_are_those_of_its_texts():
    generate(tickets=300)

    with connection.cursor() as cursor:
        cursor.execute("SELECT ticket_id, tsvector_to_array(words) FROM tickets_searchdocument")
        words = dict(cursor.fetchall())
    for ticket in Ticket.objects.prefetch_related("comments"):
        texts = [ticket.title, ticket.description, *(comment.content for comment in ticket.comments.all())]
        assert sorted(words.pop(ticket.pk)) == sorted(words_in(*texts))
    assert words == {}


def test_events_of_the_same_seed_have_different_uuids():
    generate(seed=5)
    generate(seed=5)

    uuids = set(TicketEvent.objects.values_list("uuid", flat=True))
    assert len(uuids) == TicketEvent.objects.count()
    assert {uuid.version for uuid in uuids} == {4}


def test_times_are_in_order_and_in_the_past():
    generate(tickets=200)

    tickets = list(Ticket.objects.order_by("id"))
    assert [ticket.created_at for ticket in tickets] == sorted(ticket.created_at for ticket in tickets)
    assert max(User.objects.values_list("date_joined", flat=True)) < tickets[0].created_at
    assert max(ticket.updated_at for ticket in tickets) <= timezone.now()
    assert tickets[0].created_at < timezone.now() - timedelta(days=150)
    for ticket in tickets:
        times = list(ticket.events.order_by("id").values_list("created_at", flat=True))
        assert times == sorted(times)
        assert times[0] == ticket.created_at


def test_a_conversation_fits_its_ticket():
    generate(tickets=300)

    for ticket in Ticket.objects.filter(status__in=[Status.RESOLVED, Status.CLOSED]):
        assert ticket.events.filter(kind=EventKind.STATUS_CHANGED, new=Status.RESOLVED).exists()
        assert ticket.assigned_to is not None
    for comment in Comment.objects.select_related("ticket", "author"):
        assert comment.author.is_agent or comment.author_id == comment.ticket.created_by_id
    assert set(Ticket.objects.values_list("status", flat=True)) == set(Status.values)
    assert set(Ticket.objects.values_list("priority", flat=True)) == set(Priority.values)


def test_only_agents_are_assigned_and_change_fields():
    generate(tickets=100)

    assert not Ticket.objects.exclude(created_by__role=Role.CUSTOMER).exists()
    assert not Ticket.objects.filter(assigned_to__role=Role.CUSTOMER).exists()
    changes = TicketEvent.objects.exclude(kind__in=[EventKind.TICKET_CREATED, EventKind.COMMENT_ADDED])
    assert not changes.filter(actor__role=Role.CUSTOMER).exists()
