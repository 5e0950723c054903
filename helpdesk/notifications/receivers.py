"""Signal receivers: each publishes a change to the websocket processes after its commit.

It is published over Redis, at most once; connections catch up from the database.
"""

import asyncio
import logging
from typing import Any, NamedTuple

from channels.layers import get_channel_layer
from django.dispatch import receiver

from helpdesk.core.after_commit import BoundedQueue, after_commit
from helpdesk.core.redis import RedisError
from helpdesk.notifications.actions import add_notifications
from helpdesk.notifications.live.protocol import PROCESSES, EventMessage
from helpdesk.subscriptions.recipients import Announcement, ticket_events_announced
from helpdesk.users.models import User
from helpdesk.users.signals import tokens_revoked, user_changed

logger = logging.getLogger(__name__)


class UserChanged(NamedTuple):
    """A user whose role, password or sessions have changed."""

    user_id: int


Message = EventMessage | UserChanged


class Publisher:
    """Keeps one event loop, and with it one connection to Redis."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner()

    def publish(self, messages: list[Message]) -> None:
        """Publish the messages in one; they are dropped if Redis fails."""
        try:
            self.runner.run(get_channel_layer().group_send(PROCESSES, group_message(messages)))
        except (RedisError, OSError) as error:
            logger.warning("Redis unavailable: %d live messages not published (%s)", len(messages), error)


def group_message(messages: list[Message]) -> dict[str, Any]:
    """Return `{"events": [EventMessage, …], "changed_users": [user id, …]}`."""
    return {
        "events": [message for message in messages if isinstance(message, EventMessage)],
        "changed_users": [message.user_id for message in messages if isinstance(message, UserChanged)],
    }


publisher: BoundedQueue[Message] = BoundedQueue(Publisher().publish, name="publisher")


@receiver(ticket_events_announced)
def notify_recipients(*, announcements: list[Announcement], **kwargs: Any) -> None:
    for message in add_notifications(announcements):
        after_commit(publisher.put, message)


@receiver(user_changed)
def publish_user_change(*, user: User, **kwargs: Any) -> None:
    after_commit(publisher.put, UserChanged(user.pk))


@receiver(tokens_revoked)
def publish_revoked_tokens(*, user_id: int, **kwargs: Any) -> None:
    after_commit(publisher.put, UserChanged(user_id))
