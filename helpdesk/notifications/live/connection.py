"""The websocket at /ws/notifications/: a connection authenticates, receives frames, and sends its user's stream in order."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar
from urllib.parse import parse_qs

from channels.db import database_sync_to_async
from django.conf import settings
from django.db import Error as DatabaseError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.tokens import Token

from helpdesk.notifications.actions import create_stream
from helpdesk.notifications.live import websocket
from helpdesk.notifications.live.hub import SessionState, database_threads, get_hub
from helpdesk.notifications.live.protocol import (
    MAX_FRAMES_PER_MINUTE,
    MAX_REPLAYED_EVENTS,
    MAX_SEQ,
    MAX_UNANSWERED_PINGS,
    PROTOCOL_VERSION,
    SUBPROTOCOL,
    CloseCode,
    CloseConnection,
    Cursor,
    StreamEntry,
    add_seq,
    control_frame,
    hello_frame,
    is_cursor,
    parse_frame,
    stream_entry,
)
from helpdesk.notifications.live.websocket import Socket
from helpdesk.notifications.models import Notification, Stream
from helpdesk.users.authentication import TokenRejected, get_session_id, get_token_user, read_access_token
from helpdesk.users.models import User

logger = logging.getLogger(__name__)

T = TypeVar("T")

PAGE_SIZE = 200
# In seconds.
MINUTE = 60.0
DATABASE_RETRY_DELAY = 2.0
CLOSE_FRAME_SECONDS = 0.1
PONG = control_frame("pong")


async def notification_consumer(scope: Any, receive: Any, send: Any) -> None:
    """Serve one client; this is the ASGI application."""
    connection = Connection(send, subprotocol=SUBPROTOCOL if SUBPROTOCOL in scope["subprotocols"] else None)
    try:
        # websocket.connect: from now on Daphne's protocol object is complete.
        await receive()
        websocket.limit(send, on_pong=connection.record_answer)
        await connection.run(handshake(connection, scope))
        await connection.serve(receive)
    except asyncio.CancelledError:
        # The server stops, and waits for this task; it writes the close frame during the sleep.
        await connection.close(CloseCode.RESTART)
        await asyncio.sleep(CLOSE_FRAME_SECONDS)
        raise
    finally:
        connection.detach()


async def handshake(connection: "Connection", scope: Any) -> None:
    """Check the origin; authenticate with the token of the URL, or wait for it in a frame; resume if the URL says so.

    A client with a token in the URL is accepted when its stream is open: it is sent every event after its handshake.
    """
    if not websocket.is_allowed_origin(scope["headers"]):
        raise CloseConnection(CloseCode.FORBIDDEN)
    query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    since = query.get("since", [""])[0]
    if since:
        connection.protocol_version = PROTOCOL_VERSION
    if "token" not in query:
        await connection.accept()
        connection.set_deadline(connection.close_unless_authenticated())
        return
    token = query["token"][0]
    if is_seq(since):
        cursor = Cursor(min(int(since), MAX_SEQ), query.get("epoch", [None])[0])
        # In a task: a long replay must not delay the client's other frames.
        connection.start(connection.authenticate(token, cursor=cursor))
        return
    await connection.authenticate(token)
    if since:
        raise CloseConnection(CloseCode.INVALID_FRAME)


def is_seq(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= len(str(MAX_SEQ))


class Connection(Socket):
    """A client's connection; `last_seq` is the last entry of the stream that it was sent, and never decreases."""

    def __init__(self, asgi_send: websocket.Send, *, subprotocol: str | None = None) -> None:
        super().__init__(asgi_send, subprotocol=subprotocol)
        self.protocol_version = PROTOCOL_VERSION if subprotocol else 1
        self.token: Token | None = None
        self.user_id = 0
        self.last_seq = 0
        self.lock = asyncio.Lock()
        self.is_open = False
        self.must_catch_up = False
        self.answered_at = time.monotonic()
        self.unanswered_pings = 0
        self.minute_began = 0.0
        self.frames_in_minute = 0

    # From the handshake to the end

    async def authenticate(self, text: str, *, cursor: Cursor | None = None) -> None:
        """Open the stream of an access token's user, at a cursor, or continue with a new token of the same user."""
        try:
            token = read_access_token(text)
        except TokenRejected as error:
            raise CloseConnection(CloseCode.UNAUTHENTICATED) from error
        is_first = self.token is None
        if not is_first and int(token["user_id"]) != self.user_id:
            raise CloseConnection(CloseCode.FORBIDDEN)
        self.token, self.user_id = token, int(token["user_id"])
        self.set_deadline(self.close_at_expiry())
        await (self.open(cursor) if is_first else self.send_hello())

    async def open(self, cursor: Cursor | None) -> None:
        """Join the hub, then read the stream, then accept: every event after the handshake is sent."""
        async with self.lock:
            get_hub().add(self)
            stream, page = await self.read(read_stream_and_page, cursor.seq if cursor else None)
            self.last_seq = stream.last_seq
            self.is_open = True
            get_hub().close_excess(self)
            await self.accept()
            await self.send_hello(stream)
            if cursor:
                await self.replay(stream, page, cursor)

    async def send_hello(self, stream: Stream | None = None) -> None:
        """Send `hello` to a client of version 2."""
        if self.protocol_version == PROTOCOL_VERSION:
            if stream is None:
                stream = await self.read(open_stream)
            await self.send(
                hello_frame(
                    epoch=str(stream.epoch), seq=self.last_seq, oldest=stream.oldest, expires_in=self.time_to_expiry
                )
            )

    async def close_unless_authenticated(self) -> None:
        if self.protocol_version == PROTOCOL_VERSION:
            timeout, code = settings.WEBSOCKET_AUTH_TIMEOUT, CloseCode.TIMED_OUT
        else:
            timeout, code = settings.WEBSOCKET_PLAIN_AUTH_TIMEOUT, CloseCode.UNAUTHENTICATED
        await asyncio.sleep(timeout.total_seconds())
        raise CloseConnection(code)

    async def close_at_expiry(self) -> None:
        while self.time_to_expiry > timedelta():  # noqa: ASYNC110 -- the wall clock may be set back meanwhile
            await asyncio.sleep(self.time_to_expiry.total_seconds())
        raise CloseConnection(CloseCode.UNAUTHENTICATED)

    def close_as_excess(self) -> None:
        """Leave the hub at once, and close."""
        get_hub().remove(self)
        self.start(self.close(CloseCode.TOO_MANY_CONNECTIONS))

    def detach(self) -> None:
        """Leave the hub, too."""
        super().detach()
        if self.user_id:
            get_hub().remove(self)

    # Frames from the client

    async def serve(self, receive: Callable[[], Awaitable[dict[str, Any]]]) -> None:
        """Handle frames until the client disconnects."""
        while (message := await receive())["type"] != "websocket.disconnect":
            if not self.is_closed:
                await self.run(self.handle_frame(message))

    async def handle_frame(self, message: dict[str, Any]) -> None:
        self.count_frame()
        match parse_frame(message):
            case {"type": "ping"}:
                await self.send(PONG)
            case {"type": "pong"}:
                pass
            case {"type": "auth" | "reauth", "token": str(token)}:
                self.protocol_version = PROTOCOL_VERSION
                await self.authenticate(token)
            case {"type": "resume", "seq": int(seq), **rest} if is_cursor(seq, rest.get("epoch")):
                await self.upgrade()
                self.start(self.resume(Cursor(seq, rest.get("epoch"))))
            case _ if self.protocol_version == PROTOCOL_VERSION:
                raise CloseConnection(CloseCode.INVALID_FRAME)

    def count_frame(self) -> None:
        now = time.monotonic()
        if now - self.minute_began > MINUTE:
            self.minute_began, self.frames_in_minute = now, 0
        self.frames_in_minute += 1
        if self.frames_in_minute > MAX_FRAMES_PER_MINUTE:
            raise CloseConnection(CloseCode.TOO_MANY_FRAMES)
        self.record_answer()
        self.unanswered_pings = 0

    def record_answer(self) -> None:
        self.answered_at = time.monotonic()

    async def upgrade(self) -> None:
        """Send control frames from now on: the client has sent one of version 2."""
        if self.protocol_version != PROTOCOL_VERSION:
            self.protocol_version = PROTOCOL_VERSION
            await self.send_hello()

    # The stream

    async def send_event(self, seq: int, frame_head: str) -> None:
        """Send a published event if it is the next entry and nothing delays it; otherwise read the database."""
        if seq <= self.last_seq or self.is_closed:
            return
        is_busy = self.must_catch_up or self.lock.locked()
        if is_busy or seq != self.last_seq + 1 or websocket.is_slow(self.asgi_send):
            self.request_catch_up()
            return
        self.last_seq = seq
        await self.send(add_seq(frame_head, seq))

    def request_catch_up(self) -> None:
        """Have the stream read and the user checked; requests that come meanwhile are not queued."""
        if not self.must_catch_up and not self.is_closed:
            self.must_catch_up = True
            self.start(self.catch_up())

    async def catch_up(self) -> None:
        """Check the user, and send the entries after `last_seq`; tries again while PostgreSQL is unavailable."""
        async with self.lock:
            while self.must_catch_up:
                self.must_catch_up = False
                try:
                    await self.wait_until_drained()
                    await self.send_entries(await self.read(read_page, self.last_seq), self.last_seq)
                except DatabaseError as error:
                    logger.warning("PostgreSQL unavailable: a connection waits (%s)", str(error).strip())
                    self.must_catch_up = True
                    await asyncio.sleep(DATABASE_RETRY_DELAY)

    async def resume(self, cursor: Cursor) -> None:
        """Read the stream, and replay it; runs in a task: a long replay must not delay the client's other frames."""
        async with self.lock:
            await self.wait_until_drained()
            stream, page = await self.read(read_stream_and_page, cursor.seq)
            await self.replay(stream, page, cursor)

    async def replay(self, stream: Stream, page: list[StreamEntry], cursor: Cursor) -> None:
        """Send all entries after the client's cursor and `resumed`, or only `resync`: never a part of the entries."""
        if reason := resync_reason(stream, page, cursor):
            self.last_seq = max(self.last_seq, stream.last_seq)
            await self.send(control_frame("resync", reason=reason, seq=stream.last_seq))
            return
        end = await self.send_entries(page, cursor.seq)
        await self.send(control_frame("resumed", **{"from": cursor.seq + 1, "to": end}))

    async def send_entries(self, page: list[StreamEntry], cursor: int) -> int:
        """Send a page after a cursor and the pages after it, and return the last `seq`; waits for a slow client."""
        while True:
            for entry in page:
                if websocket.is_slow(self.asgi_send):
                    break
                await self.send_entry(entry)
                cursor = entry.seq
            else:
                if len(page) < PAGE_SIZE:
                    return cursor
            await self.wait_until_drained()
            page = await self.read(read_page, cursor)

    async def send_entry(self, entry: StreamEntry) -> None:
        """Send an entry; plain clients are sent no withdrawn ones."""
        self.last_seq = max(self.last_seq, entry.seq)
        if self.protocol_version == PROTOCOL_VERSION or not entry.is_withdrawn:
            await self.send(entry.frame)

    async def read(self, query: Callable[..., T], *arguments: int | None) -> T:
        """Return what a query finds for the user; raises CloseConnection when the token is no longer valid."""
        read = database_sync_to_async(read_as_user, thread_sensitive=False, executor=database_threads)
        result: T = await read(self.valid_token, query, *arguments)
        return result

    # Heartbeats

    @property
    def session_state(self) -> SessionState:
        token = self.valid_token
        password_hash = token.get(api_settings.REVOKE_TOKEN_CLAIM)
        return SessionState(self.user_id, password_hash, get_session_id(token), self.last_seq)

    def heartbeat(self, *, is_stale: bool) -> None:
        """Catch up if the session is stale, and ping a client of version 2."""
        if websocket.is_closing(self.asgi_send):
            self.abort()
        elif is_stale or self.protocol_version == PROTOCOL_VERSION:
            self.start(self.catch_up_and_ping(is_stale=is_stale))

    async def catch_up_and_ping(self, *, is_stale: bool) -> None:
        if is_stale:
            self.must_catch_up = True
            await self.catch_up()
        if self.protocol_version == PROTOCOL_VERSION:
            if self.unanswered_pings >= MAX_UNANSWERED_PINGS:
                raise CloseConnection(CloseCode.TIMED_OUT)
            self.unanswered_pings += 1
            await self.send(control_frame("ping", seq=self.last_seq))

    @property
    def valid_token(self) -> Token:
        """The access token; raises CloseConnection while there is none."""
        if self.token is None:
            raise CloseConnection(CloseCode.UNAUTHENTICATED)
        return self.token

    @property
    def time_to_expiry(self) -> timedelta:
        return timedelta(seconds=self.valid_token["exp"] - time.time())


# In a database thread


def read_as_user(token: Token, query: Callable[..., T], *arguments: int | None) -> T:
    """Call a query with the token's user; raises CloseConnection when the token is no longer valid."""
    try:
        user = get_token_user(token)
    except TokenRejected as error:
        code = CloseCode.FORBIDDEN if error.code == "user_inactive" else CloseCode.UNAUTHENTICATED
        raise CloseConnection(code) from error
    return query(user, *arguments)


def open_stream(user: User) -> Stream:
    """Return a user's stream `with_oldest`; the first connection of a user creates it."""
    return Stream.objects.with_oldest().filter(user=user).first() or create_stream(user)


def read_page(user: User, cursor: int) -> list[StreamEntry]:
    """Return up to PAGE_SIZE entries after a cursor, with what the user may see at this moment."""
    page = Notification.objects.of(user).after(cursor).for_showing_to(user).order_by("seq")[:PAGE_SIZE]
    return [stream_entry(notification) for notification in page]


def read_stream_and_page(user: User, cursor: int | None) -> tuple[Stream, list[StreamEntry]]:
    """Return the stream, and then the first page after a cursor: entries that came in between are in the page."""
    return open_stream(user), [] if cursor is None else read_page(user, cursor)


def resync_reason(stream: Stream, page: list[StreamEntry], cursor: Cursor) -> str:
    """Return why not everything after a cursor can be replayed; "" if it can.

    Streams have no gaps: if the page does not begin with the next entry, the retention has deleted it.
    """
    if cursor.epoch not in {None, str(stream.epoch)} or cursor.seq > stream.last_seq:
        return "epoch"
    first = page[0].seq if page else stream.last_seq + 1
    if first > cursor.seq + 1:
        return "too_old"
    return "too_many" if stream.last_seq - cursor.seq > MAX_REPLAYED_EVENTS else ""
