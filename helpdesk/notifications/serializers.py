"""The shape of a notification: the event frame of the websocket, and when it was read."""

from typing import Any

import orjson
from drf_spectacular.extensions import OpenApiSerializerExtension
from rest_framework import serializers

from helpdesk.core.fields import IdField
from helpdesk.notifications.live.protocol import EVENT_SCHEMAS, TIME, Schema, withdrawn_frame
from helpdesk.notifications.models import Notification

NOTIFICATION_TYPES = list(EVENT_SCHEMAS)


class NotificationSerializer(serializers.BaseSerializer[Notification]):
    """Represents a notification that was fetched `for_showing_to` its user."""

    def to_representation(self, instance: Notification) -> dict[str, Any]:
        stored = instance.frame
        frame = orjson.loads(stored.text) if instance.is_visible else withdrawn_frame(stored.event)
        return {"seq": instance.seq, "read_at": instance.read_at, **frame}


class NotificationSchema(OpenApiSerializerExtension):  # type: ignore[no-untyped-call] # its __init_subclass__
    """Derives the schema from those of the event frames: a field that some of them lack is optional."""

    target_class = NotificationSerializer

    def map_serializer(self, auto_schema: Any, direction: str) -> Schema:
        fields: dict[str, list[Schema]] = {}
        for frame in EVENT_SCHEMAS.values():
            for name, schema in frame["properties"].items():
                fields.setdefault(name, []).append(schema)
        required = ["read_at", *(name for name, schemas in fields.items() if len(schemas) == len(EVENT_SCHEMAS))]
        properties = {name: {"anyOf": schemas} if name == "ticket" else schemas[0] for name, schemas in fields.items()}
        return {
            "type": "object",
            "properties": {
                "read_at": {**TIME, "nullable": True},
                **properties,
                "type": {"type": "string", "enum": NOTIFICATION_TYPES},
                "v": {"type": "integer", "description": "The version of the live protocol."},
            },
            "required": required,
        }


class UnreadSerializer(serializers.Serializer[Any]):
    unread = serializers.IntegerField()


class ReadUpToSerializer(serializers.Serializer[Any]):
    up_to_seq = IdField(minimum=0, help_text="Everything up to this number has been read; 0 is nothing.")
