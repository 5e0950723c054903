"""The objects that clients are told events with; their keys and texts are part of the API."""

from typing import Any

from django.utils import translation

from helpdesk.tickets.models import Comment, EventKind, Status, Ticket, TicketEvent

PROTOCOL_VERSION = 2


def frame_of(event: TicketEvent, ticket: Ticket, comment: Comment | None) -> dict[str, Any]:
    """Return what everybody in the event's audience is told; `seq` is each recipient's own and comes on top."""
    return body_of(event, ticket, comment) | head_of(event)


def withdrawn(event: TicketEvent) -> dict[str, Any]:
    """Return what stands for an event whose ticket its recipient may see no longer."""
    return {"type": "withdrawn", "message": "This is no longer available"} | head_of(event)


def head_of(event: TicketEvent) -> dict[str, Any]:
    return {"v": PROTOCOL_VERSION, "id": str(event.uuid), "ts": event.created_at}


def body_of(event: TicketEvent, ticket: Ticket, comment: Comment | None) -> dict[str, Any]:
    match event.kind, comment:
        case EventKind.TICKET_CREATED, None:
            return created(event, ticket)
        case EventKind.STATUS_CHANGED, None:
            return status_changed(event, ticket)
        case EventKind.COMMENT_ADDED, Comment():
            return comment_added(ticket, comment)
        case _:
            raise ValueError(f"Nobody can be told of {event}")


def created(event: TicketEvent, ticket: Ticket) -> dict[str, Any]:
    first_values: dict[str, str] = event.new or {}
    title = first_values["title"]
    return {
        "type": "ticket_created",
        "ticket": {
            "id": ticket.pk,
            "title": title,
            "priority": first_values["priority"],
            "status": first_values["status"],
            "created_by": ticket.created_by.username,
        },
        "message": f"New ticket #{ticket.pk}: {title}",
    }


def status_changed(event: TicketEvent, ticket: Ticket) -> dict[str, Any]:
    with translation.override("en"):
        label = str(Status(str(event.new)).label)
    return {
        "type": "status_changed",
        "ticket": {"id": ticket.pk, "title": ticket.title, "old_status": event.old, "new_status": event.new},
        "message": f"Ticket #{ticket.pk} status changed to {label}",
    }


def comment_added(ticket: Ticket, comment: Comment) -> dict[str, Any]:
    return {
        "type": "comment_added",
        "ticket": {"id": ticket.pk, "title": ticket.title},
        "comment": {"id": comment.pk, "author": comment.author.username, "content": comment.content},
        "message": f"New comment on ticket #{ticket.pk}",
    }
