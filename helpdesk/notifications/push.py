"""Rings the processes that hold sockets, over Redis; what is not heard stays in the inbox and is read from there."""

import asyncio
import logging
import threading
from collections import deque
from typing import Any, NamedTuple

from channels.layers import get_channel_layer

from helpdesk.core.redis import RedisError

logger = logging.getLogger(__name__)

GROUP = "sockets"
MOST_WAITING = 10_000
MOST_AT_ONCE = 100


class Told(NamedTuple):
    """An event for all who hear it: its frame, open at the end, and each user's number."""

    head: str
    places: list[tuple[int, int]]


class Changed(NamedTuple):
    """A user whose rights, password or logins are not what they were."""

    user_id: int


class Pusher:
    """Publishes from a thread of its own, so that neither a request nor the announcer ever waits for Redis.

    What waits while Redis does not answer is bounded: the oldest is dropped, and the sockets read it from PostgreSQL.
    """

    def __init__(self) -> None:
        self.waiting: deque[Told | Changed] = deque(maxlen=MOST_WAITING)
        self.bell = threading.Event()
        self.starting = threading.Lock()
        self.thread: threading.Thread | None = None

    def push(self, news: Told | Changed) -> None:
        self.waiting.append(news)
        self.bell.set()
        with self.starting:
            if self.thread is None or not self.thread.is_alive():
                self.thread = threading.Thread(target=self.run, name="pusher", daemon=True)
                self.thread.start()

    def run(self) -> None:
        with asyncio.Runner() as runner:
            while self.bell.wait():
                self.bell.clear()
                runner.run(self.publish())

    async def publish(self) -> None:
        """Publish what waits, many at once; one that Redis does not take is dropped."""
        while news := [self.waiting.popleft() for _ in range(min(len(self.waiting), MOST_AT_ONCE))]:
            try:
                await get_channel_layer().group_send(GROUP, message_of(news))
            except (RedisError, OSError) as error:
                logger.warning("Redis does not answer: the sockets hear of %d later (%s)", len(news), error)


def message_of(news: list[Told | Changed]) -> dict[str, Any]:
    return {
        "told": [one for one in news if isinstance(one, Told)],
        "changed": [one.user_id for one in news if isinstance(one, Changed)],
    }


pusher = Pusher()
