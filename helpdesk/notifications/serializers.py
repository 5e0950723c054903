"""The shape of a notification: the frame that the socket sends, and whether it was read."""

from typing import Any

import orjson
from rest_framework import serializers

from helpdesk.core.fields import IdField
from helpdesk.notifications.live.frames import withdrawn
from helpdesk.notifications.models import Notification

FRAME_TYPES = ["ticket_created", "status_changed", "comment_added", "withdrawn"]


def notification_item(notification: Notification) -> dict[str, Any]:
    """Return a notification that was fetched `for_showing_to` its user."""
    frame = notification.frame
    told = orjson.loads(frame.text) if notification.is_visible else withdrawn(frame.event)
    return {"seq": notification.seq, "read_at": notification.read_at, **told}


class ToldTicketSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    title = serializers.CharField()
    priority = serializers.CharField(required=False)
    status = serializers.CharField(required=False)
    created_by = serializers.CharField(required=False)
    old_status = serializers.CharField(required=False)
    new_status = serializers.CharField(required=False)


class ToldCommentSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    author = serializers.CharField()
    content = serializers.CharField()


class NotificationSerializer(serializers.Serializer[Notification]):
    seq = serializers.IntegerField(help_text="The number in the caller's stream, from 1 without holes.")
    read_at = serializers.DateTimeField(allow_null=True)
    type = serializers.ChoiceField(choices=[(name, name) for name in FRAME_TYPES])
    ticket = ToldTicketSerializer(required=False)
    comment = ToldCommentSerializer(required=False)
    message = serializers.CharField()
    v = serializers.IntegerField(help_text="The version of the live protocol.")
    id = serializers.UUIDField()
    ts = serializers.DateTimeField()


class UnreadSerializer(serializers.Serializer[Any]):
    unread = serializers.IntegerField()


class ReadUpToSerializer(serializers.Serializer[Any]):
    up_to_seq = IdField(minimum=0, help_text="Everything up to this number has been read; 0 is nothing.")
