"""One client's live stream: sends what is pushed, and reads from the database what was not heard."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import Any, NoReturn, TypeVar

from django.conf import settings
from django.db import Error as DatabaseError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.tokens import Token

from helpdesk.notifications.live import daphne
from helpdesk.notifications.live.hub import hub
from helpdesk.notifications.live.protocol import (
    MISSED_HEARTBEATS,
    MOST_REPLAYED,
    CloseCode,
    Closing,
    control_frame,
    hello,
)
from helpdesk.notifications.live.readers import in_reader
from helpdesk.notifications.live.rounds import Standing
from helpdesk.notifications.live.streams import PAGE_SIZE, Position, Told, numbered, page_after, position_of
from helpdesk.users.models import User
from helpdesk.users.tokens import SESSION_CLAIM, TokenRejected, get_token_user

logger = logging.getLogger(__name__)

T = TypeVar("T")

MOST_UNSENT_BYTES = 256 * 1024
DRAIN_SECONDS = 0.05
RETRY_SECONDS = 2.0


class Socket:
    """A client whose token is valid. `last` is the number up to which it was told everything; it only grows."""

    def __init__(
        self,
        send: daphne.Send,
        token: Token,
        *,
        guard: Callable[[Awaitable[None]], Coroutine[Any, Any, None]],
        speaks_v2: bool,
    ) -> None:
        """`guard` awaits what it is given, and closes the connection when that fails."""
        self.send = send
        self.guard = guard
        self.token = token
        self.user_id = int(token["user_id"])
        self.speaks_v2 = speaks_v2
        self.last = 0
        self.lock = asyncio.Lock()
        self.has_rung = False
        self.is_closed = False
        self.is_authenticated = False
        self.answered_at = time.monotonic()
        self.unanswered_pings = 0
        self.tasks: set[asyncio.Task[None]] = set()
        self.expiry: asyncio.Task[None] | None = None

    async def open(self, accept: Callable[[], Awaitable[None]]) -> None:
        """Join the hub, and only then see where the stream stands, and accept: nothing falls between them."""
        async with self.lock:
            hub().join(self.user_id, self)
            position = await self.read(position_of)
            self.last = position.last
            self.is_authenticated = True
            hub().make_room(self.user_id, self)
            await accept()
            await self.greet(position)
        self.expiry = self.start(self.end_with_token())

    async def renew(self, token: Token) -> None:
        """Go on with another token of the same user."""
        if int(token["user_id"]) != self.user_id:
            raise Closing(CloseCode.FORBIDDEN)
        self.token = token
        if self.expiry is not None:
            self.expiry.cancel()
        self.expiry = self.start(self.end_with_token())
        await self.greet()

    async def greet(self, position: Position | None = None) -> None:
        """Say hello to a client that speaks the protocol."""
        if not self.speaks_v2:
            return
        at = await self.read(position_of) if position is None else position
        heartbeat = settings.WEBSOCKET_HEARTBEAT
        await self.say(
            hello(epoch=at.epoch, seq=self.last, oldest=at.oldest, heartbeat=heartbeat, expires_in=self.time_left)
        )

    async def hear(self, seq: int, head: str) -> None:
        """Send what was pushed if it is the next one and nothing stands in the way; else look into the database."""
        if seq <= self.last or self.is_closed:
            return
        is_busy = self.has_rung or self.lock.locked()
        if is_busy or seq != self.last + 1 or daphne.unsent_bytes(self.send) > MOST_UNSENT_BYTES:
            self.ring()
            return
        self.last = seq
        await self.say(numbered(head, seq))

    def ring(self) -> None:
        """Remember that there may be news, or that the user may have changed; never queue anything."""
        if not self.has_rung and not self.is_closed:
            self.has_rung = True
            self.start(self.catch_up())

    async def catch_up(self) -> None:
        """Check the user and send what came after `last`."""
        async with self.lock:
            while self.has_rung:
                self.has_rung = False
                try:
                    await self.send_after(self.last)
                except DatabaseError as error:
                    logger.warning("PostgreSQL does not answer: a socket waits (%s)", str(error).strip())
                    self.has_rung = True
                    await asyncio.sleep(RETRY_SECONDS)

    async def resume(self, cursor: int, epoch: str | None) -> None:
        """Send everything after a client's cursor, or say why not and where to go on: never a part of it."""
        async with self.lock:
            position = await self.read(position_of)
            if reason := refusal(position, cursor, epoch):
                self.last = max(self.last, position.last)
                await self.say(control_frame("resync", reason=reason, seq=position.last))
                return
            end = await self.send_after(cursor)
            await self.say(control_frame("resumed", **{"from": cursor + 1, "to": end}))

    async def send_after(self, cursor: int) -> int:
        """Send the places after a number, page by page, and return the last; a slow client is waited for."""
        while True:
            await self.until_drained()
            page = await self.read(page_after, cursor)
            for told in page:
                if self.is_slow:
                    break
                await self.send_place(told)
                cursor = told.seq
            else:
                if len(page) < PAGE_SIZE:
                    return cursor

    async def send_place(self, told: Told) -> None:
        """Send a place; the plain clients of version 1 know of none that was withdrawn."""
        self.last = max(self.last, told.seq)
        if self.speaks_v2 or not told.is_withdrawn:
            await self.say(told.text)

    async def until_drained(self) -> None:
        deadline = time.monotonic() + settings.WEBSOCKET_SLOW_CLIENT_TIMEOUT.total_seconds()
        while self.is_slow:
            if time.monotonic() > deadline:
                raise Closing(CloseCode.TOO_SLOW)
            await asyncio.sleep(DRAIN_SECONDS)

    @property
    def standing(self) -> Standing:
        password_mark = self.token.get(api_settings.REVOKE_TOKEN_CLAIM)
        return Standing(self.user_id, password_mark, self.token.get(SESSION_CLAIM), self.last)

    def beat(self, *, is_restless: bool) -> None:
        """Look again if something is not as it was, and ping a client that answers."""
        if daphne.is_closing(self.send):
            self.drop()
        elif is_restless or self.speaks_v2:
            self.start(self.look_and_ping(is_restless=is_restless))

    async def look_and_ping(self, *, is_restless: bool) -> None:
        if is_restless:
            self.has_rung = True
            await self.catch_up()
        if self.speaks_v2:
            await self.ping()

    async def end_with_token(self) -> None:
        while self.time_left > timedelta():  # noqa: ASYNC110 -- the wall clock may be set back meanwhile
            await asyncio.sleep(self.time_left.total_seconds())
        raise Closing(CloseCode.UNAUTHENTICATED)

    async def ping(self) -> None:
        if self.unanswered_pings >= MISSED_HEARTBEATS:
            raise Closing(CloseCode.TIMED_OUT)
        self.unanswered_pings += 1
        await self.say(control_frame("ping", seq=self.last))

    async def read(self, query: Callable[..., T], *arguments: int) -> T:
        """Run a query for the user, if they may still use this socket; otherwise close it."""
        return await in_reader(read_for, self.token, query, *arguments)

    async def say(self, text: str) -> None:
        if not self.is_closed:
            await self.send({"type": "websocket.send", "text": text})

    def evict(self) -> None:
        """Give up the place in the hub at once, and close."""
        hub().leave(self.user_id, self)
        self.start(raise_closing(CloseCode.TOO_MANY_SOCKETS))

    def drop(self) -> None:
        """Leave a connection to which nothing can be sent, and end it."""
        self.leave()
        daphne.abort_later(self.send)

    def leave(self) -> None:
        """Hear and send nothing any more."""
        self.is_closed = True
        hub().leave(self.user_id, self)
        for task in self.tasks - {asyncio.current_task()}:
            task.cancel()

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do something beside; a reason to close closes."""
        task = asyncio.create_task(self.guard(work))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def answered(self) -> None:
        """Note that the client is there."""
        self.answered_at = time.monotonic()

    @property
    def is_slow(self) -> bool:
        return daphne.unsent_bytes(self.send) > MOST_UNSENT_BYTES

    @property
    def time_left(self) -> timedelta:
        return timedelta(seconds=self.token["exp"] - time.time())


async def raise_closing(code: CloseCode) -> NoReturn:
    raise Closing(code)


def read_for(token: Token, query: Callable[..., T], *arguments: int) -> T:
    return query(user_or_closing(token), *arguments)


def user_or_closing(token: Token) -> User:
    try:
        return get_token_user(token)
    except TokenRejected as error:
        raise Closing(CloseCode.FORBIDDEN if error.code == "user_inactive" else CloseCode.UNAUTHENTICATED) from error


def refusal(position: Position, cursor: int, epoch: str | None) -> str:
    """Return why a cursor cannot be resumed from; "" if it can."""
    if epoch not in {None, position.epoch} or cursor > position.last:
        return "epoch"
    if cursor < position.oldest - 1:
        return "too_old"
    return "too_many" if position.last - cursor > MOST_REPLAYED else ""
