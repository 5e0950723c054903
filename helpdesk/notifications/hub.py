"""Hears once for all the sockets of this process what the other processes push, and passes it on.

One group for everything: an event is published and decoded once for each process, whoever hears it, and there is one
membership to keep instead of one for each socket.
"""

import asyncio
import logging
import time
import uuid
from collections import defaultdict
from contextlib import suppress
from random import uniform
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from channels.layers import get_channel_layer
from django.conf import settings
from django.db import Error as DatabaseError

from helpdesk.core.redis import RedisError
from helpdesk.notifications import open_sockets
from helpdesk.notifications.protocol import SOCKETS_PER_USER, CloseCode, Closing
from helpdesk.notifications.push import GROUP
from helpdesk.notifications.readers import in_reader
from helpdesk.notifications.rounds import Standing, restless

logger = logging.getLogger(__name__)

PULSE_SECONDS = 0.5
DEAF_SECONDS = 10 * PULSE_SECONDS
RETRY_SECONDS = 1.0
ROUNDS_IN_A_HEARTBEAT = 25
# Over which time all sockets look into the database when something may have been missed.
SPREAD_SECONDS = 2.0

REDIS_FAILED = (RedisError, OSError)


class Listener(Protocol):
    """What the hub knows of a socket."""

    @property
    def standing(self) -> Standing: ...

    async def hear(self, seq: int, head: str) -> None: ...

    def ring(self) -> None: ...

    def beat(self, *, is_restless: bool) -> None: ...


class Hub:
    """Belongs to one event loop; begins to listen with the first socket."""

    def __init__(self) -> None:
        self.sockets: defaultdict[int, set[Listener]] = defaultdict(set)
        self.last_pulse = 0
        self.listening = asyncio.create_task(self.listen())
        self.reporting = asyncio.create_task(self.report())
        self.beating = asyncio.create_task(self.make_rounds())
        self.due: dict[Listener, float] = {}

    def join(self, user_id: int, socket: Listener) -> None:
        """Let a socket hear from now on; there are only so many for a user.

        They are counted in this process alone: a count that others keep would outlive a crash, and then refuse those
        who come back.
        """
        if len(self.sockets[user_id]) >= SOCKETS_PER_USER:
            raise Closing(CloseCode.TOO_MANY_SOCKETS)
        self.sockets[user_id].add(socket)
        self.due[socket] = next_beat()

    def leave(self, user_id: int, socket: Listener) -> None:
        self.sockets[user_id].discard(socket)
        self.due.pop(socket, None)
        if not self.sockets[user_id]:
            del self.sockets[user_id]

    async def listen(self) -> None:
        """Hear until the loop ends; whenever Redis is back, let every socket look for what it missed."""
        while True:
            try:
                await self.hear_from(get_channel_layer())
            except REDIS_FAILED as error:
                logger.warning("Redis does not answer: sockets look into the database meanwhile (%s)", error)
            with suppress(*REDIS_FAILED):
                await get_channel_layer().flush()
            await asyncio.sleep(RETRY_SECONDS)

    async def hear_from(self, layer: Any) -> None:
        channel = await layer.new_channel()
        await layer.group_add(GROUP, channel)
        self.last_pulse = 0
        pulse = asyncio.create_task(self.keep_pulse(layer, channel))
        self.ring_everybody()
        try:
            while True:
                async with asyncio.timeout(DEAF_SECONDS):
                    message = await layer.receive(channel)
                await self.pass_on(message)
        finally:
            pulse.cancel()

    async def keep_pulse(self, layer: Any, channel: str) -> None:
        """Send this process numbered messages: the layer reconnects by itself and does not say what that lost."""
        number = 0
        while True:
            number += 1
            with suppress(*REDIS_FAILED):
                await layer.send(channel, {"pulse": number})
            await asyncio.sleep(PULSE_SECONDS)

    async def report(self) -> None:
        """Say again and again how many sockets there are, from a thread, which Redis may keep waiting."""
        name = uuid.uuid4().hex
        while True:
            with suppress(*REDIS_FAILED):
                await asyncio.to_thread(open_sockets.report, name, sum(map(len, self.sockets.values())))
            await asyncio.sleep(settings.WEBSOCKET_COUNT_INTERVAL.total_seconds())

    async def make_rounds(self) -> None:
        """Give every socket its heartbeat, with one look into the database for all that are due."""
        while True:
            await asyncio.sleep(settings.WEBSOCKET_HEARTBEAT.total_seconds() / ROUNDS_IN_A_HEARTBEAT)
            now = time.monotonic()
            due = [socket for socket, due_at in self.due.items() if due_at <= now]
            if not due:
                continue
            try:
                places = set(await in_reader(restless, [socket.standing for socket in due]))
            except DatabaseError as error:
                logger.warning("PostgreSQL does not answer: %d sockets look later (%s)", len(due), str(error).strip())
                continue
            for place, socket in enumerate(due):
                if socket in self.due:
                    self.due[socket] = next_beat()
                    socket.beat(is_restless=place in places)

    async def pass_on(self, message: dict[str, Any]) -> None:
        if "pulse" in message:
            self.feel(message["pulse"])
            return
        for user_id in message["changed"]:
            for socket in self.sockets_of(user_id):
                socket.ring()
        for head, places in message["told"]:
            for user_id, seq in places:
                for socket in self.sockets_of(user_id):
                    await socket.hear(seq, head)
            # Let the server write.
            await asyncio.sleep(0)

    def feel(self, pulse: int) -> None:
        """Let everybody look when pulses are missing: other messages may be, too."""
        if pulse != self.last_pulse + 1:
            self.ring_everybody()
        self.last_pulse = pulse

    def sockets_of(self, user_id: int) -> tuple[Listener, ...]:
        return tuple(self.sockets[user_id]) if user_id in self.sockets else ()

    def ring_everybody(self) -> None:
        loop = asyncio.get_running_loop()
        for sockets in self.sockets.values():
            for socket in sockets:
                loop.call_later(uniform(0, SPREAD_SECONDS), socket.ring)  # noqa: S311 -- no secret


def next_beat() -> float:
    return time.monotonic() + uniform(0.8, 1) * settings.WEBSOCKET_HEARTBEAT.total_seconds()  # noqa: S311 -- no secret


hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def hub() -> Hub:
    """Return the hub of the running loop."""
    loop = asyncio.get_running_loop()
    if loop not in hubs:
        hubs[loop] = Hub()
    return hubs[loop]
