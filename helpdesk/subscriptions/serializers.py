"""The shapes of a user's notification preferences."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from helpdesk.core.fields import StrictBooleanField, StrictSerializer


class ChannelsSerializer(serializers.Serializer[Any]):
    email = serializers.BooleanField(help_text="Notify me by e-mail.")
    live = serializers.BooleanField(help_text="Notify me in my notifications and on the websocket.")


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "Preferences",
            {
                "ticket_created": {"email": False, "live": True},
                "status_changed": {"email": True, "live": True},
                "comment_added": {"email": True, "live": True},
            },
        )
    ]
)
class PreferencesSerializer(serializers.Serializer[Any]):
    """The kinds of events that a user is notified of, and by which channel."""

    ticket_created = ChannelsSerializer(help_text="A new ticket (agents only).")
    status_changed = ChannelsSerializer(help_text="A changed status of a ticket that I created.")
    comment_added = ChannelsSerializer(
        help_text="A comment of another user on a ticket that I created or am assigned to."
    )


class ChannelChangesSerializer(StrictSerializer):
    email = StrictBooleanField(required=False)
    live = StrictBooleanField(required=False)


@extend_schema_serializer(
    examples=[
        OpenApiExample("No e-mails about new tickets", {"ticket_created": {"email": False}}),
        OpenApiExample("No notifications of comments", {"comment_added": {"email": False, "live": False}}),
    ]
)
class PreferenceChangesSerializer(StrictSerializer):
    ticket_created = ChannelChangesSerializer(required=False)
    status_changed = ChannelChangesSerializer(required=False)
    comment_added = ChannelChangesSerializer(required=False)
