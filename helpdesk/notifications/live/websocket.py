"""The server's end of a websocket: what is sent, how it ends, which origins may open it, and what ASGI does not cover.

The last is done on Daphne's protocol objects; under another server those functions do nothing.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any
from urllib.parse import urlsplit

from autobahn.exception import Disconnected
from django.conf import settings
from django.db import Error as DatabaseError
from django.http.request import split_domain_port, validate_host

from helpdesk.notifications.live.protocol import (
    MAX_FRAME_BYTES,
    MAX_FRAMES_PER_MINUTE,
    MAX_UNSENT_BYTES,
    CloseCode,
    CloseConnection,
)

logger = logging.getLogger(__name__)

Send = Callable[[dict[str, Any]], Awaitable[None]]

DRAIN_POLL_SECONDS = 0.05


class Socket:
    """A websocket that is accepted and closed once, and the tasks that end with it."""

    def __init__(self, asgi_send: Send, *, subprotocol: str | None = None) -> None:
        self.asgi_send = asgi_send
        self.subprotocol = subprotocol
        self.is_accepted = self.is_closed = False
        self.tasks: set[asyncio.Task[None]] = set()
        self.deadline: asyncio.Task[None] | None = None

    async def accept(self) -> None:
        """Complete the handshake, also for a client that is refused: Daphne turns an earlier close into HTTP 403."""
        if not self.is_accepted:
            self.is_accepted = True
            await self.asgi_send({"type": "websocket.accept", "subprotocol": self.subprotocol})

    async def send(self, text: str) -> None:
        if not self.is_closed:
            await self.asgi_send({"type": "websocket.send", "text": text})

    async def wait_until_drained(self) -> None:
        deadline = time.monotonic() + settings.WEBSOCKET_SLOW_CLIENT_TIMEOUT.total_seconds()
        while is_slow(self.asgi_send):
            if time.monotonic() > deadline:
                raise CloseConnection(CloseCode.TOO_SLOW)
            await asyncio.sleep(DRAIN_POLL_SECONDS)

    async def close(self, code: CloseCode) -> None:
        """Send a close frame, once; raises nothing."""
        if self.is_closed:
            return
        self.detach()
        try:
            await self.accept()
            await close(self.asgi_send, code)
        except Exception:
            logger.exception("Close frame not sent")
            abort_later(self.asgi_send)

    def abort(self) -> None:
        """End a connection to which nothing can be sent."""
        self.detach()
        abort_later(self.asgi_send)

    def detach(self) -> None:
        """Cancel the tasks, and send nothing more."""
        self.is_closed = True
        for task in self.tasks - {asyncio.current_task()}:
            task.cancel()

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run work in a task that ends with the connection."""
        task = asyncio.create_task(self.run(work))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    async def run(self, work: Awaitable[None]) -> None:
        """Await work for this connection; an exception closes this connection and affects no other."""
        try:
            await work
        except CloseConnection as closing:
            await self.close(closing.code)
        except Disconnected:
            self.abort()
        except DatabaseError as error:
            logger.warning("PostgreSQL unavailable: closing a connection (%s)", str(error).strip())
            await self.close(CloseCode.RESTART)
        except Exception:
            logger.exception("Connection failed; closing it")
            await self.close(CloseCode.FAILED)

    def set_deadline(self, work: Coroutine[Any, Any, None]) -> None:
        """Replace the task that will close this connection in time."""
        if self.deadline is not None:
            self.deadline.cancel()
        self.deadline = self.start(work)


def is_allowed_origin(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Return whether a handshake comes from a page of WEBSOCKET_ORIGINS (by default, of this host), or from no page."""
    values = {name: value.decode("latin-1") for name, value in headers}
    origin = values.get(b"origin")
    if origin is None:
        return bool(settings.WEBSOCKET_WITHOUT_ORIGIN)
    if settings.WEBSOCKET_ORIGINS:
        return origin in settings.WEBSOCKET_ORIGINS
    return is_own_origin(origin, values.get(b"host", ""))


def is_own_origin(origin: str, host: str) -> bool:
    try:
        netloc = urlsplit(origin).netloc
    except ValueError:
        return False
    domain, _port = split_domain_port(host)
    return bool(domain) and netloc == host and validate_host(domain, settings.ALLOWED_HOSTS)


# Daphne's protocol objects


def protocol_of(send: Send) -> Any:
    """Return Daphne's protocol object, to which it binds the `send` of an application; None under another server."""
    arguments = getattr(send, "args", ())
    return arguments[0] if arguments and hasattr(arguments[0], "sendCloseFrame") else None


def is_slow(send: Send) -> bool:
    """Return whether the server holds more than MAX_UNSENT_BYTES for the client: Daphne accepts any amount."""
    transport = getattr(protocol_of(send), "transport", None)
    if transport is None or not hasattr(transport, "dataBuffer"):
        return False
    unsent = len(transport.dataBuffer) - int(transport.offset) + int(transport._tempDataLen)  # noqa: SLF001
    return unsent > MAX_UNSENT_BYTES


def limit(send: Send, *, on_pong: Callable[[], None]) -> None:
    """Bound what one client makes the server hold, and call `on_pong` for each pong of the client (RFC 6455, 5.5.3).

    Daphne queues any number of frames of up to 1 MiB until they are handled, and answers any number of pings
    (RFC 6455, 5.5.2) to a client that does not read. A frame that is too large is closed with 1009, too many with 4429.
    """
    protocol = protocol_of(send)
    if protocol is None:
        return
    enqueue, send_pong = protocol.onMessage, protocol.onPing

    def on_message(payload: bytes, is_binary: bool) -> None:  # noqa: FBT001 -- autobahn's signature
        if protocol.application_queue.qsize() < MAX_FRAMES_PER_MINUTE:
            enqueue(payload, is_binary)
        else:
            protocol.sendCloseFrame(code=CloseCode.TOO_MANY_FRAMES)

    def on_ping(payload: bytes) -> None:
        if not is_slow(send):
            send_pong(payload)

    protocol.onMessage, protocol.onPing = on_message, on_ping
    protocol.onPong = lambda _payload: on_pong()
    protocol.maxFramePayloadSize = protocol.maxMessagePayloadSize = MAX_FRAME_BYTES
    # Otherwise autobahn cuts the connection instead of closing it with 1009 or 1002.
    protocol.failByDrop = False


def is_closing(send: Send) -> bool:
    """Return whether either side has begun the closing handshake: nothing can be sent any more."""
    protocol = protocol_of(send)
    return protocol is not None and protocol.state in {protocol.STATE_CLOSING, protocol.STATE_CLOSED}


def abort_later(send: Send) -> None:
    """Cut a closing connection after WEBSOCKET_SLOW_CLIENT_TIMEOUT: a client that does not read would keep it open."""
    if (protocol := protocol_of(send)) is not None:
        timeout = settings.WEBSOCKET_SLOW_CLIENT_TIMEOUT.total_seconds()
        asyncio.get_running_loop().call_later(timeout, protocol.transport.abortConnection)


async def close(send: Send, code: int) -> None:
    """Close with any code: Daphne's own close raises an exception for those between 1001 and 2999."""
    protocol = protocol_of(send)
    if protocol is None or protocol.state == protocol.STATE_CONNECTING:
        await send({"type": "websocket.close", "code": code})
    elif is_closing(send):
        abort_later(send)
    else:
        protocol.sendCloseFrame(code=code)
