"""Receivers of the signals of tickets and users."""

from typing import Any

from django.dispatch import receiver

from helpdesk.core.after_commit import after_commit
from helpdesk.notifications.actions import add_notifications
from helpdesk.notifications.live.publisher import UserChanged, publisher
from helpdesk.subscriptions.recipients import Announcement, ticket_events_announced
from helpdesk.users.models import User
from helpdesk.users.signals import tokens_revoked, user_changed


@receiver(ticket_events_announced)
def notify_recipients(*, announcements: list[Announcement], **kwargs: Any) -> None:
    add_notifications(announcements)


@receiver(user_changed)
def publish_user_change(*, user: User, **kwargs: Any) -> None:
    after_commit(publisher.put, UserChanged(user.pk))


@receiver(tokens_revoked)
def publish_revoked_tokens(*, user_id: int, **kwargs: Any) -> None:
    after_commit(publisher.put, UserChanged(user_id))
