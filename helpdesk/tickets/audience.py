"""Who is told of an event, in whatever way."""

from collections.abc import Sequence
from typing import NamedTuple

from helpdesk.tickets.models import EventKind, Ticket, TicketEvent
from helpdesk.users.models import User

ANNOUNCED_KINDS = (EventKind.TICKET_CREATED, EventKind.STATUS_CHANGED, EventKind.COMMENT_ADDED)


class Occasion(NamedTuple):
    """An event, its ticket, and the active users who are told of it and may see the ticket now, at least one."""

    event: TicketEvent
    ticket: Ticket
    audience: list[User]


def occasions_in(events: Sequence[TicketEvent]) -> list[Occasion]:
    """Return those events that somebody is told of, in order; two queries for any number of them.

    All agents hear of a new ticket, the creator of a changed status, the creator and the assignee of a comment unless
    it is their own.
    """
    told = [event for event in events if event.kind in ANNOUNCED_KINDS]
    tickets = Ticket.objects.select_related("created_by", "assigned_to").in_bulk({event.ticket_id for event in told})
    has_new_ticket = any(event.kind == EventKind.TICKET_CREATED for event in told)
    agents = list(User.objects.active().agents().order_by("pk")) if has_new_ticket else []
    occasions = (
        Occasion(event, ticket, audience_of(event, ticket, agents))
        for event in told
        if (ticket := tickets.get(event.ticket_id))
    )
    return [occasion for occasion in occasions if occasion.audience]


def audience_of(event: TicketEvent, ticket: Ticket, agents: list[User]) -> list[User]:
    if event.kind == EventKind.TICKET_CREATED:
        return agents
    people = {ticket.created_by}
    if event.kind == EventKind.COMMENT_ADDED:
        if ticket.assigned_to is not None and ticket.assigned_to.is_agent:
            people.add(ticket.assigned_to)
        people = {person for person in people if person.pk != event.actor_id}
    return sorted((person for person in people if person.is_active), key=lambda person: person.pk)
