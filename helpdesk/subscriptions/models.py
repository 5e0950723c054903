"""Which events a user is notified of, and by which channel."""

from typing import Self

from django.db import models
from django.utils.translation import gettext_lazy as _

from helpdesk.tickets.models import EventKind
from helpdesk.users.models import User

# The kinds of events that have recipients.
NOTIFIED_KINDS = (EventKind.TICKET_CREATED, EventKind.STATUS_CHANGED, EventKind.COMMENT_ADDED)


class Channel(models.TextChoices):
    """A way to notify a user: an app above this one delivers to it."""

    EMAIL = "email", _("E-mail")
    LIVE = "live", _("Live")


class NotificationPreferenceQuerySet(models.QuerySet["NotificationPreference"]):
    def disabled(self) -> Self:
        return self.filter(is_enabled=False)


class NotificationPreference(models.Model):
    """Whether a user is notified of a kind of event by a channel; without a row they are."""

    user = models.ForeignKey(User, models.CASCADE, related_name="notification_preferences", db_index=False)
    kind = models.CharField(max_length=30, choices=[(kind.value, kind.label) for kind in NOTIFIED_KINDS])
    channel = models.CharField(max_length=10, choices=Channel)
    is_enabled = models.BooleanField()

    objects = NotificationPreferenceQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["user", "kind", "channel"], name="subscriptions_preference_unique"),
            models.CheckConstraint(
                condition=models.Q(kind__in=NOTIFIED_KINDS), name="subscriptions_preference_kind_known"
            ),
            models.CheckConstraint(
                condition=models.Q(channel__in=Channel.values), name="subscriptions_preference_channel_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_channel_display()}: {self.get_kind_display()}"


def get_preferences(user: User) -> dict[str, dict[str, bool]]:
    """Return whether each kind is enabled for a user, by kind and channel: `{"comment_added": {"email": False, …}, …}`."""
    disabled = set(user.notification_preferences.disabled().values_list("kind", "channel"))
    return {
        kind.value: {channel.value: (kind, channel) not in disabled for channel in Channel} for kind in NOTIFIED_KINDS
    }
