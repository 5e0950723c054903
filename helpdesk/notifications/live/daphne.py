"""What ASGI does not cover, done on Daphne's protocol objects; under another server these functions do nothing."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from autobahn.exception import Disconnected
from django.conf import settings

from helpdesk.notifications.live.protocol import (
    MAX_FRAME_BYTES,
    MAX_FRAMES_PER_MINUTE,
    MAX_UNSENT_BYTES,
    CloseCode,
)

__all__ = ["Disconnected", "Send", "abort_later", "close", "is_closing", "is_slow", "limit"]

Send = Callable[[dict[str, Any]], Awaitable[None]]


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
