"""The AsyncAPI 3 document of the live protocol: every frame in both directions, as JSON Schemas."""

from typing import Any

from helpdesk.notifications.live.frames import PROTOCOL_VERSION
from helpdesk.tickets.models import PRIORITY_NAMES, Status

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "integer", "minimum": 0}
ID: Schema = {"type": "integer", "minimum": 1}
STATUS: Schema = {"enum": Status.values}
PRIORITY: Schema = {"enum": [name for name, _label in PRIORITY_NAMES]}


def constant(value: object) -> Schema:
    return {"const": value}


def record(**fields: Schema) -> Schema:
    return {"type": "object", "properties": fields, "required": list(fields)}


def event(kind: str, **fields: Schema) -> Schema:
    """Return the schema of an event: the contract's keys, and those that version 2 adds."""
    return record(
        type=constant(kind),
        **fields,
        message=TEXT,
        v=constant(PROTOCOL_VERSION),
        id={"type": "string", "format": "uuid"},
        ts={"type": "string", "format": "date-time"},
        seq=ID,
    )


def control(kind: str, **fields: Schema) -> Schema:
    """Return the schema of a control frame, which says nothing else."""
    return record(type=constant(kind), **fields) | {"additionalProperties": False}


EVENTS = {
    "ticket_created": event(
        "ticket_created",
        ticket=record(id=ID, title=TEXT, priority=PRIORITY, status=STATUS, created_by=TEXT),
    ),
    "status_changed": event(
        "status_changed",
        ticket=record(id=ID, title=TEXT, old_status=STATUS, new_status=STATUS),
    ),
    "comment_added": event(
        "comment_added",
        ticket=record(id=ID, title=TEXT),
        comment=record(id=ID, author=TEXT, content=TEXT),
    ),
    "withdrawn": event("withdrawn"),
}
FROM_SERVER = EVENTS | {
    "hello": control(
        "hello",
        v=constant(PROTOCOL_VERSION),
        epoch={"type": "string", "format": "uuid"},
        seq=NUMBER,
        oldest=ID,
        heartbeat={"type": "number", "exclusiveMinimum": 0},
        expires_in={"type": "integer"},
    ),
    "resumed": control("resumed", **{"from": ID, "to": NUMBER}),
    "resync": control("resync", reason={"enum": ["epoch", "too_old", "too_many"]}, seq=NUMBER),
    "ping": control("ping", seq=NUMBER),
    "pong": control("pong"),
}
RESUME = control("resume", epoch={"type": ["string", "null"]}, seq=NUMBER) | {"required": ["type", "seq"]}
FROM_CLIENT = {
    "auth": record(type=constant("auth"), token=TEXT),
    "reauth": record(type=constant("reauth"), token=TEXT),
    "resume": RESUME | {"additionalProperties": True},
    "client_ping": record(type=constant("ping")),
    "client_pong": record(type=constant("pong")),
}


def document() -> dict[str, Any]:
    messages = FROM_SERVER | FROM_CLIENT
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Helpdesk live events",
            "version": f"{PROTOCOL_VERSION}.0.0",
            "description": "Events of one's tickets, in order and without holes. docs/websocket.md tells it in words.",
        },
        "defaultContentType": "application/json",
        "channels": {
            "notifications": {
                "address": "/ws/notifications/",
                "bindings": {"ws": {"query": record(token=TEXT, since=NUMBER, epoch=TEXT) | {"required": []}}},
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
            },
        },
        "operations": {"tell": operation("send", FROM_SERVER), "ask": operation("receive", FROM_CLIENT)},
        "components": {"messages": {name: {"name": name, "payload": schema} for name, schema in messages.items()}},
    }


def operation(action: str, messages: dict[str, Schema]) -> dict[str, Any]:
    """Return what the server sends, or receives."""
    channel = "#/channels/notifications"
    return {
        "action": action,
        "channel": {"$ref": channel},
        "messages": [{"$ref": f"{channel}/messages/{name}"} for name in messages],
    }
