"""What ASGI has no words for, asked of Daphne itself; under another server it is answered with a guess."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from autobahn.exception import Disconnected
from django.conf import settings

from helpdesk.notifications.live.protocol import CloseCode

__all__ = ["Disconnected", "Send", "abort_later", "close", "is_closing", "limit", "unsent_bytes"]

Send = Callable[[dict[str, Any]], Awaitable[None]]


def protocol_of(send: Send) -> Any:
    """Return Daphne's protocol instance, which it binds to the function it gives to an application; None elsewhere."""
    arguments = getattr(send, "args", ())
    return arguments[0] if arguments and hasattr(arguments[0], "sendCloseFrame") else None


def unsent_bytes(send: Send) -> int:
    """Return how much the server holds for a client that does not read: Daphne accepts any amount."""
    transport = getattr(protocol_of(send), "transport", None)
    if transport is None or not hasattr(transport, "dataBuffer"):
        return 0
    return len(transport.dataBuffer) - int(transport.offset) + int(transport._tempDataLen)  # noqa: SLF001


def limit(send: Send, *, frame_bytes: int, queued_frames: int, unsent: int, on_pong: Callable[[], None]) -> None:
    """Bound what one client can make the server hold, and call `on_pong` for its answers to the server's own pings.

    Daphne queues any number of frames of 1 MiB until they are handled, and answers any number of a client's pings
    (RFC 6455, 5.5.2) although it does not read. Too large a frame is closed with 1009, too many with 4429.
    """
    protocol = protocol_of(send)
    if protocol is None:
        return
    pass_on, answer = protocol.onMessage, protocol.onPing

    def on_message(payload: bytes, is_binary: bool) -> None:  # noqa: FBT001 -- autobahn's signature
        if protocol.application_queue.qsize() < queued_frames:
            pass_on(payload, is_binary)
        else:
            protocol.sendCloseFrame(code=CloseCode.TOO_MANY_FRAMES)

    def on_ping(payload: bytes) -> None:
        if unsent_bytes(send) <= unsent:
            answer(payload)

    protocol.onMessage, protocol.onPing = on_message, on_ping
    protocol.onPong = lambda _payload: on_pong()
    protocol.maxFramePayloadSize = protocol.maxMessagePayloadSize = frame_bytes
    # Or the connection would just be cut instead of closed with 1009 or 1002.
    protocol.failByDrop = False


def is_closing(send: Send) -> bool:
    """Return whether the closing handshake has begun, by either side: then nothing can be sent any more."""
    protocol = protocol_of(send)
    return protocol is not None and protocol.state in {protocol.STATE_CLOSING, protocol.STATE_CLOSED}


def abort_later(send: Send) -> None:
    """Cut a connection that the client has closed, unless it ends by itself: it would last until all is written."""
    if (protocol := protocol_of(send)) is not None:
        patience = settings.WEBSOCKET_SLOW_CLIENT_TIMEOUT.total_seconds()
        asyncio.get_running_loop().call_later(patience, protocol.transport.abortConnection)


async def close(send: Send, code: int) -> None:
    """Close with any code, unless it is closed: Daphne by itself raises for those between 1001 and 2999."""
    protocol = protocol_of(send)
    if protocol is None or protocol.state == protocol.STATE_CONNECTING:
        await send({"type": "websocket.close", "code": code})
    elif is_closing(send):
        abort_later(send)
    else:
        protocol.sendCloseFrame(code=code)
