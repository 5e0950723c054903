"""Who is told of an event, and by which medium."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from helpdesk.tickets.models import ANNOUNCED_KINDS, EventKind, Medium, Mute, Ticket, TicketEvent
from helpdesk.users.models import User


class Occasion(NamedTuple):
    """An event, its ticket, and the ids of the active users who are told of it and may see the ticket now, at least one."""

    event: TicketEvent
    ticket: Ticket
    audience: list[int]


def occasions_in(events: Sequence[TicketEvent], *, medium: Medium) -> list[Occasion]:
    """Return those events that somebody is told of by a medium, in order; three queries for any number of them.

    All agents hear of a new ticket, the creator of a changed status, the creator and the assignee of a comment unless
    it is their own; but not who has muted the kind.
    """
    told = [event for event in events if event.kind in ANNOUNCED_KINDS]
    tickets = Ticket.objects.select_related("created_by", "assigned_to").in_bulk({event.ticket_id for event in told})
    has_new_ticket = any(event.kind == EventKind.TICKET_CREATED for event in told)
    agents = list(User.objects.active().agents().values_list("pk", flat=True)) if has_new_ticket else []
    occasions = [
        Occasion(event, ticket, audience_of(event, ticket, agents))
        for event in told
        if (ticket := tickets.get(event.ticket_id))
    ]
    return [occasion for occasion in without_mutes(occasions, medium) if occasion.audience]


def audience_of(event: TicketEvent, ticket: Ticket, agents: list[int]) -> list[int]:
    if event.kind == EventKind.TICKET_CREATED:
        return agents
    people = {ticket.created_by}
    if event.kind == EventKind.COMMENT_ADDED:
        if ticket.assigned_to is not None and ticket.assigned_to.is_agent:
            people.add(ticket.assigned_to)
        people = {person for person in people if person.pk != event.actor_id}
    return [person.pk for person in people if person.is_active]


def without_mutes(occasions: Sequence[Occasion], medium: Medium) -> Iterator[Occasion]:
    user_ids = {user_id for occasion in occasions for user_id in occasion.audience}
    mutes = set(Mute.objects.filter(user__in=user_ids, medium=medium).values_list("user_id", "kind"))
    for occasion in occasions:
        kind = occasion.event.kind
        yield occasion._replace(audience=[user_id for user_id in occasion.audience if (user_id, kind) not in mutes])


def wants(user: User, *, kind: str, medium: Medium) -> bool:
    """Tell whether a user wants to be told of a kind of event by a medium."""
    return not Mute.objects.filter(user=user, kind=kind, medium=medium).exists()
