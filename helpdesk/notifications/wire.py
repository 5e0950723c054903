"""What ASGI has no words for, asked of Daphne itself; under another server it is answered with a guess."""

from collections.abc import Awaitable, Callable
from typing import Any

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


def close_politely(send: Send) -> None:
    """Let the server say 1009 and 1002 when it closes by itself; it would just cut the connection."""
    if (protocol := protocol_of(send)) is not None:
        protocol.failByDrop = False


async def close(send: Send, code: int) -> None:
    """Close with any code: Daphne by itself raises for those between 1001 and 2999."""
    protocol = protocol_of(send)
    if protocol is not None and protocol.state == protocol.STATE_OPEN:
        protocol.sendCloseFrame(code=code)
    else:
        await send({"type": "websocket.close", "code": code})
