"""What notifications hears."""

from typing import Any

from django.dispatch import receiver

from helpdesk.core.after_commit import after_commit
from helpdesk.notifications.actions import fill_inboxes
from helpdesk.notifications.live.publisher import Changed, pusher
from helpdesk.subscriptions.recipients import Announcement
from helpdesk.subscriptions.signals import ticket_events_announced
from helpdesk.users.models import User
from helpdesk.users.signals import tokens_revoked, user_changed


@receiver(ticket_events_announced)
def fill_inboxes_of_recipients(*, announcements: list[Announcement], **kwargs: Any) -> None:
    fill_inboxes(announcements)


@receiver(user_changed)
def check_sockets_of_changed_user(*, user: User, **kwargs: Any) -> None:
    after_commit(pusher.put, Changed(user.pk))


@receiver(tokens_revoked)
def check_sockets_with_revoked_tokens(*, user_id: int, **kwargs: Any) -> None:
    after_commit(pusher.put, Changed(user_id))
