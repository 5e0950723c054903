"""The live protocol: its limits, close codes and frames, and the AsyncAPI document that describes them."""

from datetime import timedelta
from enum import IntEnum
from typing import Any, NamedTuple

import orjson
from django.conf import settings
from django.utils import translation

from helpdesk.notifications.models import Notification
from helpdesk.tickets.models import PRIORITY_NAMES, Comment, EventKind, Status, Ticket, TicketEvent

PROTOCOL_VERSION = 2
SUBPROTOCOL = f"helpdesk.v{PROTOCOL_VERSION}"

MAX_CONNECTIONS_PER_USER = 10
MAX_FRAMES_PER_MINUTE = 60
MAX_FRAME_BYTES = 64 * 1024
MAX_UNSENT_BYTES = 256 * 1024
MAX_REPLAYED_EVENTS = 5_000
MAX_UNANSWERED_PINGS = 2
# PostgreSQL's bigint.
MAX_SEQ = 2**63 - 1
# The group of the channel layer that all websocket processes join.
PROCESSES = "websocket-processes"


class CloseCode(IntEnum):
    TOO_BIG = 1009
    FAILED = 1011
    RESTART = 1012
    INVALID_FRAME = 4400
    UNAUTHENTICATED = 4401
    FORBIDDEN = 4403
    TIMED_OUT = 4408
    TOO_MANY_CONNECTIONS = 4409
    TOO_SLOW = 4413
    TOO_MANY_FRAMES = 4429


class CloseConnection(Exception):  # noqa: N818 -- not always an error
    """Ends a connection with a close code."""

    def __init__(self, code: CloseCode) -> None:
        super().__init__(code.name)
        self.code = code


# Schemas: an event frame is declared here, for AsyncAPI and for the REST API.

Schema = dict[str, Any]

VERSION: Schema = {"const": PROTOCOL_VERSION}
TEXT: Schema = {"type": "string"}
ID: Schema = {"type": "integer", "minimum": 1}
NUMBER: Schema = {"type": "integer", "minimum": 0}
UUID: Schema = {"type": "string", "format": "uuid"}
TIME: Schema = {"type": "string", "format": "date-time"}
STATUS: Schema = {"enum": Status.values}
PRIORITY: Schema = {"enum": [name for name, _label in PRIORITY_NAMES]}


def object_schema(**fields: Schema) -> Schema:
    """Return the schema of an object with at least these fields."""
    return {"type": "object", "properties": fields, "required": list(fields)}


def event_schema(kind: str, **fields: Schema) -> Schema:
    """Return the schema of an event frame: its own fields and those of every event."""
    return object_schema(type={"const": kind}, **fields, message=TEXT, v=VERSION, id=UUID, ts=TIME, seq=ID)


def control_schema(kind: str, **fields: Schema) -> Schema:
    """Return the schema of a control frame, which has no other fields."""
    return object_schema(type={"const": kind}, **fields) | {"additionalProperties": False}


EVENT_SCHEMAS = {
    "ticket_created": event_schema(
        "ticket_created",
        ticket=object_schema(id=ID, title=TEXT, priority=PRIORITY, status=STATUS, created_by=TEXT),
    ),
    "status_changed": event_schema(
        "status_changed",
        ticket=object_schema(id=ID, title=TEXT, old_status=STATUS, new_status=STATUS),
    ),
    "comment_added": event_schema(
        "comment_added",
        ticket=object_schema(id=ID, title=TEXT),
        comment=object_schema(id=ID, author=TEXT, content=TEXT),
    ),
    "withdrawn": event_schema("withdrawn"),
}
SERVER_SCHEMAS = EVENT_SCHEMAS | {
    "hello": control_schema(
        "hello",
        v=VERSION,
        epoch=UUID,
        seq=NUMBER,
        oldest=ID,
        heartbeat={"type": "number", "exclusiveMinimum": 0},
        expires_in={"type": "integer"},
    ),
    "resumed": control_schema("resumed", **{"from": ID, "to": NUMBER}),
    "resync": control_schema("resync", reason={"enum": ["epoch", "too_old", "too_many"]}, seq=NUMBER),
    "ping": control_schema("ping", seq=NUMBER),
    "pong": control_schema("pong"),
}
CLIENT_SCHEMAS = {
    "auth": object_schema(type={"const": "auth"}, token=TEXT),
    "reauth": object_schema(type={"const": "reauth"}, token=TEXT),
    "resume": object_schema(type={"const": "resume"}, seq=NUMBER, epoch={"type": ["string", "null"]})
    | {"required": ["type", "seq"]},
    "client_ping": object_schema(type={"const": "ping"}),
    "client_pong": object_schema(type={"const": "pong"}),
}


# Frames


class EventMessage(NamedTuple):
    """An event as it is published to the websocket processes: the frame up to its `seq`, and each recipient's id and `seq`."""

    frame_head: str
    recipients: list[tuple[int, int]]


class Cursor(NamedTuple):
    """The last entry of the stream that a client has applied, and the stream's epoch if the client knows it."""

    seq: int
    epoch: str | None


class StreamEntry(NamedTuple):
    """An entry of a user's stream as it is sent: `frame` is JSON with the entry's `seq`."""

    seq: int
    frame: str
    is_withdrawn: bool


def stream_entry(notification: Notification) -> StreamEntry:
    """Return the entry of a notification that was fetched `for_showing_to` its user."""
    stored = notification.frame
    text = stored.text if notification.is_visible else render(withdrawn_frame(stored.event))
    return StreamEntry(notification.seq, add_seq(frame_head(text), notification.seq), not notification.is_visible)


def render(frame: dict[str, Any]) -> str:
    return orjson.dumps(frame, option=orjson.OPT_UTC_Z).decode()


def frame_head(text: str) -> str:
    """Return an event frame's JSON up to the value of `seq`, which is each recipient's own: see `add_seq`."""
    return f'{text[:-1]},"seq":'


def add_seq(head: str, seq: int) -> str:
    return f"{head}{seq}}}"


def event_frame(event: TicketEvent, ticket: Ticket, comment: Comment | None) -> dict[str, Any]:
    """Return the frame of an event, the same for all recipients: without `seq`."""
    match event.kind, comment:
        case EventKind.TICKET_CREATED, None:
            fields = ticket_created(event, ticket)
        case EventKind.STATUS_CHANGED, None:
            fields = status_changed(event, ticket)
        case EventKind.COMMENT_ADDED, Comment():
            fields = comment_added(ticket, comment)
        case _:
            raise ValueError(f"There is no frame for {event}")
    return {"type": str(event.kind), **fields, **common_fields(event)}


def withdrawn_frame(event: TicketEvent) -> dict[str, Any]:
    """Return the frame that replaces an event whose ticket its recipient may no longer see."""
    return {"type": "withdrawn", "message": "This is no longer available", **common_fields(event)}


def common_fields(event: TicketEvent) -> dict[str, Any]:
    return {"v": PROTOCOL_VERSION, "id": str(event.uuid), "ts": event.created_at}


def ticket_created(event: TicketEvent, ticket: Ticket) -> dict[str, Any]:
    values: dict[str, str] = event.new or {}
    fields = {name: values[name] for name in ("title", "priority", "status")}
    return {
        "ticket": {"id": ticket.pk, **fields, "created_by": ticket.created_by.username},
        "message": f"New ticket #{ticket.pk}: {values['title']}",
    }


def status_changed(event: TicketEvent, ticket: Ticket) -> dict[str, Any]:
    with translation.override("en"):
        label = str(Status(str(event.new)).label)
    return {
        "ticket": {"id": ticket.pk, "title": ticket.title, "old_status": event.old, "new_status": event.new},
        "message": f"Ticket #{ticket.pk} status changed to {label}",
    }


def comment_added(ticket: Ticket, comment: Comment) -> dict[str, Any]:
    return {
        "ticket": {"id": ticket.pk, "title": ticket.title},
        "comment": {"id": comment.pk, "author": comment.author.username, "content": comment.content},
        "message": f"New comment on ticket #{ticket.pk}",
    }


def control_frame(kind: str, **fields: str | float) -> str:
    return render({"type": kind, **fields})


def hello_frame(*, epoch: str, seq: int, oldest: int, expires_in: timedelta) -> str:
    return control_frame(
        "hello",
        v=PROTOCOL_VERSION,
        epoch=epoch,
        seq=seq,
        oldest=oldest,
        heartbeat=settings.WEBSOCKET_HEARTBEAT.total_seconds(),
        expires_in=int(expires_in.total_seconds()),
    )


def parse_frame(message: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON object of a `websocket.receive` message; raises CloseConnection for anything else."""
    content = message.get("bytes") or (message.get("text") or "").encode()
    if len(content) > MAX_FRAME_BYTES:
        raise CloseConnection(CloseCode.TOO_BIG)
    try:
        frame = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise CloseConnection(CloseCode.INVALID_FRAME) from error
    if not isinstance(frame, dict):
        raise CloseConnection(CloseCode.INVALID_FRAME)
    return frame


def is_cursor(seq: int, epoch: object) -> bool:
    return not isinstance(seq, bool) and 0 <= seq <= MAX_SEQ and isinstance(epoch, str | None)


# AsyncAPI


def asyncapi_document() -> dict[str, Any]:
    """Return the AsyncAPI 3 document: every frame in both directions, as JSON Schemas."""
    messages = SERVER_SCHEMAS | CLIENT_SCHEMAS
    query = object_schema(token=TEXT, since=NUMBER, epoch=TEXT) | {"required": []}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Helpdesk live events",
            "version": settings.SPECTACULAR_SETTINGS["VERSION"],
            "description": "The events of a user's tickets, in order and without gaps; see docs/websocket.md.",
        },
        "defaultContentType": "application/json",
        "channels": {
            "notifications": {
                "address": "/ws/notifications/",
                "bindings": {"ws": {"query": query}},
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
            },
        },
        "operations": {
            "sendFrames": operation("send", SERVER_SCHEMAS),
            "receiveFrames": operation("receive", CLIENT_SCHEMAS),
        },
        "components": {"messages": {name: {"name": name, "payload": schema} for name, schema in messages.items()}},
    }


def operation(action: str, schemas: dict[str, Schema]) -> dict[str, Any]:
    channel = "#/channels/notifications"
    return {
        "action": action,
        "channel": {"$ref": channel},
        "messages": [{"$ref": f"{channel}/messages/{name}"} for name in schemas],
    }
