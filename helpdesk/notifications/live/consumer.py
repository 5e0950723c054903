"""The websocket at /ws/notifications/, an ASGI application: the handshake, and the close code when the server stops."""

import asyncio
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from django.conf import settings
from django.http.request import split_domain_port, validate_host

from helpdesk.notifications.live import daphne
from helpdesk.notifications.live.connection import Connection
from helpdesk.notifications.live.protocol import (
    MAX_SEQ,
    PROTOCOL_VERSION,
    SUBPROTOCOL,
    CloseCode,
    CloseConnection,
    Cursor,
)

CLOSE_FRAME_SECONDS = 0.1


async def notification_consumer(scope: Any, receive: Any, send: Any) -> None:
    connection = Connection(send, subprotocol=SUBPROTOCOL if SUBPROTOCOL in scope["subprotocols"] else None)
    try:
        # websocket.connect: from now on Daphne's protocol object is complete.
        await receive()
        daphne.limit(send, on_pong=connection.record_answer)
        await connection.run(handshake(connection, scope))
        await connection.serve(receive)
    except asyncio.CancelledError:
        # The server stops, and waits for this task; it writes the close frame during the sleep.
        await connection.close(CloseCode.RESTART)
        await asyncio.sleep(CLOSE_FRAME_SECONDS)
        raise
    finally:
        connection.detach()


async def handshake(connection: Connection, scope: Any) -> None:
    """Check the origin; authenticate with the token of the URL, or wait for it in a frame; resume if the URL says so.

    A client with a token in the URL is accepted when its stream is open: it is sent every event after its handshake.
    """
    if not is_allowed_origin(scope["headers"]):
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
