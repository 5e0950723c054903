"""Publishes events to the websocket processes, over Redis: at most once; connections catch up from the database."""

import asyncio
import logging
from typing import Any, NamedTuple

from channels.layers import get_channel_layer

from helpdesk.core.after_commit import BoundedQueue
from helpdesk.core.redis import RedisError

logger = logging.getLogger(__name__)

GROUP = "websocket-processes"


class EventMessage(NamedTuple):
    """An event for its recipients: the frame up to its `seq`, and each recipient's user id and `seq`."""

    frame_head: str
    recipients: list[tuple[int, int]]


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
            self.runner.run(get_channel_layer().group_send(GROUP, group_message(messages)))
        except (RedisError, OSError) as error:
            logger.warning("Redis unavailable: %d live messages not published (%s)", len(messages), error)


def group_message(messages: list[Message]) -> dict[str, Any]:
    """Return `{"events": [EventMessage, …], "changed_users": [user id, …]}`."""
    return {
        "events": [message for message in messages if isinstance(message, EventMessage)],
        "changed_users": [message.user_id for message in messages if isinstance(message, UserChanged)],
    }


publisher: BoundedQueue[Message] = BoundedQueue(Publisher().publish, name="publisher")
