"""What a user can change about their notifications."""

from collections.abc import Mapping

from helpdesk.subscriptions.models import NotificationPreference
from helpdesk.users.models import User


def set_preferences(user: User, *, changes: Mapping[str, Mapping[str, bool]]) -> None:
    """Enable or disable kinds of events, by kind and channel; what `changes` does not name stays as it is."""
    rows = [
        NotificationPreference(user=user, kind=kind, channel=channel, is_enabled=is_enabled)
        for kind, channels in changes.items()
        for channel, is_enabled in channels.items()
    ]
    NotificationPreference.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["user", "kind", "channel"], update_fields=["is_enabled"]
    )
