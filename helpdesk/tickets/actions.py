"""All writes to tickets. Each action is one transaction: lock, check, write, record events."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from helpdesk.core.after_commit import after_commit
from helpdesk.core.cached_lists import invalidate
from helpdesk.core.database import CompiledQuery
from helpdesk.tickets import search_index
from helpdesk.tickets.models import (
    NOTIFY_CHANNEL,
    Comment,
    EventKind,
    EventSource,
    Priority,
    Ticket,
    TicketEvent,
    TicketQuerySet,
    list_scopes_with_tickets_of,
)
from helpdesk.users.models import User

# Placeholders in compiled queries.
CALLER, TICKET = -1, -2
CHANGEABLE_FIELDS = {
    "title": EventKind.TITLE_CHANGED,
    "description": EventKind.DESCRIPTION_CHANGED,
    "status": EventKind.STATUS_CHANGED,
    "priority": EventKind.PRIORITY_CHANGED,
    "assigned_to": EventKind.ASSIGNEE_CHANGED,
}


class Origin(NamedTuple):
    """Who acts, and through which entry point."""

    actor: User
    source: EventSource


@transaction.atomic
def create_ticket(
    origin: Origin,
    *,
    title: str,
    description: str,
    priority: Priority = Priority.MEDIUM,
) -> Ticket:
    """Create a ticket of the actor; records ticket_created."""
    now = timezone.now()
    ticket = Ticket.objects.create(
        title=title,
        description=description,
        priority=priority,
        created_by=origin.actor,
        created_at=now,
        updated_at=now,
    )
    search_index.add_words(ticket, title, description)
    first_values = {"title": title, "status": ticket.status, "priority": Priority(priority).name.lower()}
    record_events(ticket, build_event(origin, ticket, EventKind.TICKET_CREATED, new=first_values, at=now))
    return ticket


@transaction.atomic
def update_ticket(origin: Origin, ticket_id: int, *, changes: Mapping[str, Any]) -> Ticket:
    """Set the fields in `changes` (keys of CHANGEABLE_FIELDS); records one event for each that differs.

    Raises Ticket.DoesNotExist, and ValidationError for an assignee who is not an active agent.
    """
    ticket = lock_ticket(origin.actor, ticket_id)
    changed = {field: value for field, value in changes.items() if getattr(ticket, field) != value}
    if not changed:
        return ticket
    check_assignee(changed.get("assigned_to"))
    now = timezone.now()
    events = list(build_change_events(origin, ticket, changed, at=now))
    for field, value in changed.items():
        setattr(ticket, field, value)
    save_changes(ticket, at=now, fields=changed)
    if {"title", "description"} & changed.keys():
        search_index.replace_words(ticket)
    record_events(ticket, *events)
    return ticket


@transaction.atomic
def add_comment(origin: Origin, ticket_id: int, *, content: str) -> Comment:
    """Comment on a ticket; records comment_added. Raises Ticket.DoesNotExist if the actor may not see it."""
    ticket = lock_ticket(origin.actor, ticket_id)
    now = timezone.now()
    comment = Comment.objects.create(ticket=ticket, author=origin.actor, content=content, created_at=now)
    ticket.comments_count += 1
    ticket.last_comment_at = now
    save_changes(ticket, at=now, fields=("comments_count", "last_comment_at"))
    search_index.add_words(ticket, content)
    record_events(ticket, build_event(origin, ticket, EventKind.COMMENT_ADDED, comment=comment, at=now))
    return comment


@transaction.atomic
def delete_ticket(origin: Origin, ticket_id: int) -> None:
    """Delete a ticket and its comments, but not its events; records ticket_deleted. Raises Ticket.DoesNotExist."""
    ticket = lock_ticket(origin.actor, ticket_id)
    record_events(ticket, build_event(origin, ticket, EventKind.TICKET_DELETED, old=ticket.title, at=timezone.now()))
    ticket.delete()


def unassign_tickets(origin: Origin, agent: User) -> None:
    """Remove a user who is no longer an agent as assignee, in a transaction for each ticket."""
    for ticket_id in Ticket.objects.filter(assigned_to=agent).order_by("pk").values_list("pk", flat=True):
        update_ticket(origin, ticket_id, changes={"assigned_to": None})


def lock_ticket(actor: User, ticket_id: int) -> Ticket:
    """Return a ticket, locked until the transaction ends; raises Ticket.DoesNotExist if the actor may not see it."""
    ticket: Ticket = compile_lock(actor.role).fetch_instance({CALLER: actor.pk, TICKET: ticket_id})
    return ticket


@cache
def compile_lock(role: str) -> CompiledQuery:
    return CompiledQuery(visible_ticket(role).locked())


def visible_ticket(role: str) -> TicketQuerySet:
    """Return the ticket TICKET if CALLER, a user of that role, may see it: for compiled queries."""
    return Ticket.objects.visible_to(User(pk=CALLER, role=role)).filter(pk=TICKET).order_by()


def check_assignee(user: User | None) -> None:
    """Raise ValidationError unless a user can be assignee."""
    if user is not None and not (user.is_agent and user.is_active):
        raise ValidationError(
            {"assigned_to": ValidationError(_("Only agents can be assignees."), code="not_an_agent")}
        )


def build_change_events(
    origin: Origin,
    ticket: Ticket,
    changed: Mapping[str, Any],
    *,
    at: datetime,
) -> Iterator[TicketEvent]:
    for field, value in changed.items():
        yield build_event(
            origin,
            ticket,
            CHANGEABLE_FIELDS[field],
            old=ledger_value(field, getattr(ticket, field)),
            new=ledger_value(field, value),
            at=at,
        )


def ledger_value(field: str, value: Any) -> Any:
    """Return the JSON value of a field as described in TicketEvent."""
    if field == "priority":
        return Priority(value).name.lower()
    if isinstance(value, User):
        return {"id": value.pk, "username": value.username}
    return value


def build_event(
    origin: Origin,
    ticket: Ticket,
    kind: EventKind,
    *,
    at: datetime,
    old: Any = None,
    new: Any = None,
    comment: Comment | None = None,
) -> TicketEvent:
    return TicketEvent(
        ticket=ticket,
        kind=kind,
        actor=origin.actor,
        source=origin.source,
        old=old,
        new=new,
        comment=comment,
        created_at=at,
    )


def record_events(ticket: Ticket, *events: TicketEvent) -> None:
    """Insert the events into the ledger; after the commit they are announced, and the lists with the ticket invalidated."""
    TicketEvent.objects.bulk_create(events)
    notify_announcer()
    write_ids = [event.uuid.hex for event in events]
    after_commit(invalidate, *list_scopes_with_tickets_of(ticket.created_by_id), write_ids=write_ids)


def notify_announcer(scope: str = "") -> None:
    """Wake the announcer when the transaction commits; it also invalidates `scope`, a scope of cached lists, if not empty."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [NOTIFY_CHANNEL, scope])


def save_changes(ticket: Ticket, *, at: datetime, fields: Iterable[str]) -> None:
    """Save fields of a locked ticket, with its time of change and its next version."""
    ticket.updated_at = at
    ticket.version += 1
    ticket.save(update_fields=[*fields, "updated_at", "version"])
