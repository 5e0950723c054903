"""What the schema shows as examples of tickets, comments and events."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework.serializers import BaseSerializer

from helpdesk.tickets.serializers import (
    CommentSerializer,
    NewCommentSerializer,
    NewTicketSerializer,
    TicketChangesSerializer,
    TicketDetailSerializer,
    TicketEventSerializer,
    TicketSerializer,
)

CUSTOMER = {"id": 7, "username": "customer_1", "name": "Ana Torres", "role": "customer"}
AGENT = {"id": 3, "username": "agent_1", "name": "Sam Reid", "role": "agent"}
COMMENT = {
    "id": 5,
    "ticket": 1,
    "author": AGENT,
    "content": "We are on it. Does it blink red or green?",
    "created_at": "2026-01-31T12:00:00Z",
}
TICKET = {
    "id": 1,
    "title": "The printer does not print",
    "status": "in_progress",
    "priority": "high",
    "created_by": CUSTOMER,
    "assigned_to": AGENT,
    "comments_count": 1,
    "last_comment_at": "2026-01-31T12:00:00Z",
    "created_at": "2026-01-31T11:40:00Z",
    "updated_at": "2026-01-31T12:00:00Z",
}
STATUS_CHANGED = {
    "id": 2,
    "kind": "status_changed",
    "actor": AGENT,
    "source": "api",
    "old": "open",
    "new": "in_progress",
    "comment": None,
    "created_at": "2026-01-31T11:50:00Z",
}

EXAMPLES: dict[type[BaseSerializer[Any]], dict[str, dict[str, Any]]] = {
    NewTicketSerializer: {
        "New ticket": {
            "title": "The printer does not print",
            "description": "It only blinks.\nSince this morning, on the second floor.",
            "priority": "high",
        }
    },
    TicketChangesSerializer: {
        "Take over": {"status": "in_progress", "assigned_to": 3},
        "Resolve": {"status": "resolved"},
        "Give back": {"assigned_to": None},
    },
    TicketSerializer: {"Ticket": TICKET},
    TicketDetailSerializer: {
        "Ticket with its comments": TICKET
        | {"description": "It only blinks.", "comments": [COMMENT], "older_comments": None}
    },
    NewCommentSerializer: {"New comment": {"ticket": 1, "content": COMMENT["content"]}},
    CommentSerializer: {"Comment": COMMENT},
    TicketEventSerializer: {"Changed status": STATUS_CHANGED},
}

for serializer, values in EXAMPLES.items():
    examples = [OpenApiExample(name, value) for name, value in values.items()]
    extend_schema_serializer(examples=examples)(serializer)
