"""Hears once for all the sockets of this process what the other processes push, and passes it on.

One group for everything: an event is published and decoded once for each process, whoever hears it, and there is one
membership to keep instead of one for each socket.
"""

import asyncio
import logging
import time
import uuid
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import uniform
from typing import Any, NoReturn, Protocol
from weakref import WeakKeyDictionary

from channels import DEFAULT_CHANNEL_LAYER
from channels.layers import channel_layers, get_channel_layer
from django.conf import settings
from django.db import Error as DatabaseError

from helpdesk.core.redis import RedisError
from helpdesk.notifications.live import daphne, open_sockets
from helpdesk.notifications.live.protocol import SOCKETS_PER_USER
from helpdesk.notifications.live.publisher import GROUP
from helpdesk.notifications.live.readers import in_reader
from helpdesk.notifications.live.rounds import Standing, restless

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

    answered_at: float
    is_authenticated: bool

    @property
    def standing(self) -> Standing: ...

    async def hear(self, seq: int, head: str) -> None: ...

    def ring(self) -> None: ...

    def beat(self, *, is_restless: bool) -> None: ...

    def evict(self) -> None: ...

    def drop(self) -> None: ...


class Hub:
    """Belongs to one event loop; begins to listen with the first socket."""

    def __init__(self) -> None:
        self.sockets: defaultdict[int, set[Listener]] = defaultdict(set)
        self.due: dict[Listener, float] = {}
        self.last_pulse = 0
        self.keep_alive_at = time.monotonic()
        self.name = uuid.uuid4().hex
        self.tasks = [asyncio.create_task(run_forever(task)) for task in (self.listen, self.report, self.make_rounds)]

    def join(self, user_id: int, socket: Listener) -> None:
        """Let a socket hear from now on."""
        self.sockets[user_id].add(socket)
        self.due[socket] = next_beat()

    def make_room(self, user_id: int, newcomer: Listener) -> None:
        """Close those of a user's connections that have not answered for longest, as far as a new one is too many.

        A client whose network vanished leaves connections behind that stay open for most of a minute, and comes back
        meanwhile. They are counted in this process alone: a count that others keep would outlive a crash, and then
        close those who come back. Only who is authenticated counts: a token that was revoked closes nobody.
        """
        others = [socket for socket in self.sockets_of(user_id) if socket.is_authenticated and socket is not newcomer]
        others.sort(key=lambda socket: socket.answered_at)
        for socket in others[: max(0, len(others) + 1 - SOCKETS_PER_USER)]:
            socket.evict()

    def leave(self, user_id: int, socket: Listener) -> None:
        self.sockets[user_id].discard(socket)
        self.due.pop(socket, None)
        if not self.sockets[user_id]:
            del self.sockets[user_id]

    async def listen(self) -> None:
        """Receive until that fails, and leave the channel layer as if it was new: the next time subscribes again."""
        try:
            await self.hear_from(get_channel_layer())
        except REDIS_FAILED as error:
            logger.warning("Redis does not answer: sockets look into the database meanwhile (%s)", error)
        finally:
            await renew_channel_layer()

    async def hear_from(self, layer: Any) -> None:
        """Pass on what arrives; whatever was missed before, the sockets look for in the database."""
        async with asyncio.timeout(DEAF_SECONDS):
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
        """Report the number of connections and the listener's silence, from a thread, which Redis may keep waiting."""
        while True:
            count = sum(map(len, self.sockets.values()))
            with suppress(*REDIS_FAILED):
                await asyncio.to_thread(open_sockets.report, self.name, count, silence_seconds=self.silence_seconds)
            await asyncio.sleep(settings.WEBSOCKET_COUNT_INTERVAL.total_seconds())

    @property
    def silence_seconds(self) -> float:
        """For how long no keep-alive of this process has come back to it."""
        return time.monotonic() - self.keep_alive_at

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
                    await send_alone(socket, seq, head)
            # Let the server write.
            await asyncio.sleep(0)

    def feel(self, pulse: int) -> None:
        """Let everybody look when pulses are missing: other messages may be, too."""
        self.keep_alive_at = time.monotonic()
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


async def run_forever(task: Callable[[], Awaitable[None]]) -> NoReturn:
    """Run one of the hub's tasks again whenever it ends; nobody awaits it, so what it raises is logged here."""
    while True:
        try:
            await task()
        except Exception:
            logger.exception("The hub's %s failed and starts again", task.__name__)
        await asyncio.sleep(RETRY_SECONDS)


async def renew_channel_layer() -> None:
    """Drop the subscriptions and connections of this loop; a layer that cannot even do that is replaced."""
    try:
        async with asyncio.timeout(DEAF_SECONDS):
            await get_channel_layer().flush()
    except Exception as error:  # noqa: BLE001 -- whatever it is, a new layer knows nothing of it
        logger.warning("The channel layer is replaced (%r)", error)
        channel_layers.backends.pop(DEFAULT_CHANNEL_LAYER, None)


async def send_alone(socket: Listener, seq: int, head: str) -> None:
    """Send to one connection; whatever fails there costs no other connection anything."""
    try:
        await socket.hear(seq, head)
    except daphne.Disconnected:
        socket.drop()
    except Exception:
        logger.exception("A connection failed and is dropped")
        socket.drop()


def next_beat() -> float:
    return time.monotonic() + uniform(0.8, 1) * settings.WEBSOCKET_HEARTBEAT.total_seconds()  # noqa: S311 -- no secret


hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def hub() -> Hub:
    """Return the hub of the running loop."""
    loop = asyncio.get_running_loop()
    if loop not in hubs:
        hubs[loop] = Hub()
    return hubs[loop]
