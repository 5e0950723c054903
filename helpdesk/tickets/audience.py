"""Who is told of an event, in whatever way."""

from django.db.models import Q

from helpdesk.tickets.models import EventKind, Ticket, TicketEvent
from helpdesk.users.models import Role, User, UserQuerySet

ANNOUNCED_KINDS = (EventKind.TICKET_CREATED, EventKind.STATUS_CHANGED, EventKind.COMMENT_ADDED)


def audience_of(event: TicketEvent, ticket: Ticket) -> UserQuerySet:
    """Return the active users who are told of an event and may see its ticket now.

    All agents hear of a new ticket, the creator of a changed status, the creator and the assignee of a comment unless
    it is their own.
    """
    users: UserQuerySet = User.objects.active().order_by("pk")
    match event.kind:
        case EventKind.TICKET_CREATED:
            return users.agents()
        case EventKind.STATUS_CHANGED:
            return users.filter(pk=ticket.created_by_id)
        case EventKind.COMMENT_ADDED:
            return users.filter(Q(pk=ticket.created_by_id) | Q(pk=ticket.assigned_to_id, role=Role.AGENT)).exclude(
                pk=event.actor_id
            )
        case _:
            return users.none()
