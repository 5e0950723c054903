"""Rings the processes that hold sockets, over Redis; what is not heard stays in the inbox and is read from there."""

import asyncio
import logging
from typing import Any, NamedTuple

from channels.layers import get_channel_layer

from helpdesk.core.bounded_queue import BoundedQueue
from helpdesk.core.redis import RedisError

logger = logging.getLogger(__name__)

GROUP = "sockets"


class Told(NamedTuple):
    """An event for all who hear it: its frame, open at the end, and each user's number."""

    head: str
    places: list[tuple[int, int]]


class Changed(NamedTuple):
    """A user whose rights, password or logins are not what they were."""

    user_id: int


News = Told | Changed


class Publisher:
    """Keeps one event loop, and with it one connection, for all that it publishes."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner()

    def publish(self, news: list[News]) -> None:
        """Publish all of it at once; what Redis does not take is dropped, and the sockets read it from PostgreSQL."""
        try:
            self.runner.run(get_channel_layer().group_send(GROUP, message_of(news)))
        except (RedisError, OSError) as error:
            logger.warning("Redis does not answer: the sockets hear of %d later (%s)", len(news), error)


def message_of(news: list[News]) -> dict[str, Any]:
    return {
        "told": [one for one in news if isinstance(one, Told)],
        "changed": [one.user_id for one in news if isinstance(one, Changed)],
    }


pusher: BoundedQueue[News] = BoundedQueue(Publisher().publish, name="pusher")
