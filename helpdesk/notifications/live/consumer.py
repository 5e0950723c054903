"""The door to one's own live events; docs/websocket.md says what is spoken through it."""

import asyncio
import logging
import time
from collections.abc import Awaitable
from typing import Any
from urllib.parse import parse_qs

import orjson
from channels.consumer import AsyncConsumer
from channels.exceptions import StopConsumer
from django.conf import settings
from django.db import Error as DatabaseError

from helpdesk.notifications.live import daphne
from helpdesk.notifications.live.connection import MOST_UNSENT_BYTES, Socket
from helpdesk.notifications.live.origins import is_allowed_origin
from helpdesk.notifications.live.protocol import (
    FRAME_BYTES,
    FRAMES_PER_MINUTE,
    SUBPROTOCOL,
    CloseCode,
    Closing,
    control_frame,
)
from helpdesk.users.tokens import TokenRejected, read_access_token

logger = logging.getLogger(__name__)

MINUTE = 60.0
FAREWELL_SECONDS = 0.1
# What PostgreSQL can look for.
MOST_SEQ = 2**63 - 1
PONG = control_frame("pong")


class NotificationConsumer(AsyncConsumer):
    """Accepts whom it refuses too, and closes with a code: Daphne turns an earlier close into a bare HTTP 403.

    A client with a token is accepted when its stream is open, so that it is told of all that follows its handshake.
    """

    # The hub listens for all sockets of the process.
    channel_layer_alias = ""

    def __init__(self) -> None:
        self.socket: Socket | None = None
        self.speaks_v2 = False
        self.is_accepted = False
        self.is_closed = False
        self.minute_began = 0.0
        self.frames_in_minute = 0
        self.waiting: asyncio.Task[None] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().__call__(scope, receive, send)  # type: ignore[no-untyped-call]
        except asyncio.CancelledError:
            # The server stops, and waits for this; it writes while we sleep.
            await self.close(CloseCode.RESTART)
            await asyncio.sleep(FAREWELL_SECONDS)
            raise
        finally:
            self.leave()

    async def websocket_connect(self, message: Any) -> None:
        self.speaks_v2 = SUBPROTOCOL in self.scope["subprotocols"]
        daphne.limit(
            self.base_send,
            frame_bytes=FRAME_BYTES,
            queued_frames=FRAMES_PER_MINUTE,
            unsent=MOST_UNSENT_BYTES,
            on_pong=self.answered,
        )
        await self.work_or_close(self.enter())

    async def accept(self) -> None:
        if not self.is_accepted:
            self.is_accepted = True
            subprotocol = SUBPROTOCOL if SUBPROTOCOL in self.scope["subprotocols"] else None
            await self.base_send({"type": "websocket.accept", "subprotocol": subprotocol})

    async def websocket_receive(self, message: Any) -> None:
        if not self.is_closed:
            await self.work_or_close(self.answer(message))

    async def websocket_disconnect(self, message: Any) -> None:
        raise StopConsumer

    async def enter(self) -> None:
        if not is_allowed_origin(self.scope["headers"]):
            raise Closing(CloseCode.FORBIDDEN)
        query = parse_qs(self.scope["query_string"].decode("latin-1"), keep_blank_values=True)
        cursor = query.get("since", [""])[0]
        self.speaks_v2 = self.speaks_v2 or bool(cursor)
        if "token" not in query:
            await self.accept()
            self.waiting = asyncio.create_task(self.work_or_close(self.give_up_waiting()))
            return
        await self.authenticate(query["token"][0])
        if cursor:
            self.resume(whole_number(cursor), query.get("epoch", [None])[0])

    async def answer(self, message: Any) -> None:
        """Do what a frame from the client asks for."""
        match self.parsed(message):
            case {"type": "ping"}:
                await self.say(PONG)
            case {"type": "pong"}:
                pass
            case {"type": "auth" | "reauth", "token": str(token)}:
                self.speaks_v2 = True
                await self.authenticate(token)
            case {"type": "resume", "seq": int(seq), **rest} if is_cursor(seq, rest.get("epoch")):
                await self.speak_v2()
                self.resume(seq, rest.get("epoch"))
            case _ if self.speaks_v2:
                raise Closing(CloseCode.INVALID_FRAME)

    def parsed(self, message: Any) -> dict[str, Any]:
        """Return the client's frame, if it is one and the client keeps the limits."""
        self.count_frame()
        text: str | None = message.get("text")
        if len(message.get("bytes") or (text or "").encode()) > FRAME_BYTES:
            raise Closing(CloseCode.TOO_BIG)
        try:
            frame = orjson.loads(text or "")
        except orjson.JSONDecodeError as error:
            raise Closing(CloseCode.INVALID_FRAME) from error
        if not isinstance(frame, dict):
            raise Closing(CloseCode.INVALID_FRAME)
        return frame

    def count_frame(self) -> None:
        now = time.monotonic()
        if now - self.minute_began > MINUTE:
            self.minute_began, self.frames_in_minute = now, 0
        self.frames_in_minute += 1
        if self.frames_in_minute > FRAMES_PER_MINUTE:
            raise Closing(CloseCode.TOO_MANY_FRAMES)
        self.answered()
        if self.socket is not None:
            self.socket.unanswered_pings = 0

    def answered(self) -> None:
        if self.socket is not None:
            self.socket.answered()

    async def authenticate(self, text: str) -> None:
        """Open the stream of a token's user, or go on with a fresh token of the same user."""
        try:
            token = read_access_token(text)
        except TokenRejected as error:
            raise Closing(CloseCode.UNAUTHENTICATED) from error
        if self.socket is None:
            self.stop_waiting()
            self.socket = Socket(self.base_send, token, guard=self.work_or_close, speaks_v2=self.speaks_v2)
            await self.socket.open(self.accept)
        else:
            self.socket.speaks_v2 = self.speaks_v2
            await self.socket.renew(token)

    async def speak_v2(self) -> None:
        """Turn the control frames on, for a client that sends one."""
        if self.socket is None:
            raise Closing(CloseCode.UNAUTHENTICATED)
        if not self.speaks_v2:
            self.speaks_v2 = self.socket.speaks_v2 = True
            await self.socket.greet()

    def resume(self, cursor: int, epoch: str | None) -> None:
        """Replay beside: a long one must not keep the client's other frames waiting."""
        if self.socket is not None:
            self.socket.start(self.socket.resume(cursor, epoch))

    async def give_up_waiting(self) -> None:
        """Close a socket without a token; one that speaks the protocol has time to send it in its first frame."""
        patience = settings.WEBSOCKET_AUTH_TIMEOUT if self.speaks_v2 else settings.WEBSOCKET_PLAIN_AUTH_TIMEOUT
        await asyncio.sleep(patience.total_seconds())
        raise Closing(CloseCode.TIMED_OUT if self.speaks_v2 else CloseCode.UNAUTHENTICATED)

    def stop_waiting(self) -> None:
        if self.waiting is not None and self.waiting is not asyncio.current_task():
            self.waiting.cancel()

    async def work_or_close(self, work: Awaitable[None]) -> None:
        """Await something for this connection; whatever it raises ends the connection, and nothing else."""
        try:
            await work
        except Closing as closing:
            await self.close(closing.code)
        except daphne.Disconnected:
            self.leave()
            daphne.abort_later(self.base_send)
        except DatabaseError as error:
            logger.warning("PostgreSQL does not answer: a socket is closed (%s)", str(error).strip())
            await self.close(CloseCode.RESTART)
        except Exception:
            logger.exception("A connection failed and is closed")
            await self.close(CloseCode.FAILED)

    async def say(self, text: str) -> None:
        await self.base_send({"type": "websocket.send", "text": text})

    async def close(self, code: CloseCode) -> None:
        if not self.is_closed:
            self.leave()
            await self.accept()
            await daphne.close(self.base_send, code)

    def leave(self) -> None:
        self.is_closed = True
        self.stop_waiting()
        if self.socket is not None:
            self.socket.leave()


def is_cursor(seq: int, epoch: Any) -> bool:
    return not isinstance(seq, bool) and 0 <= seq <= MOST_SEQ and isinstance(epoch, str | None)


def whole_number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(MOST_SEQ))):
        raise Closing(CloseCode.INVALID_FRAME)
    return min(int(text), MOST_SEQ)
