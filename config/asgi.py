"""One port for both protocols: HTTP is answered by the WSGI stack in a bounded thread pool, websockets by Channels.

Every websocket path is here; those of HTTP are in config.urls.
"""

import os
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any, cast

from a2wsgi import WSGIMiddleware
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.urls import path, re_path

from config.wsgi import application as wsgi_application

# After config.wsgi, which loads the applications: consumers import models.
from config.body_limit import limit_bodies  # isort: skip
from helpdesk.notifications.live.connection import notification_consumer  # isort: skip

HTTP_THREADS = 8
EXIT_SECONDS = 1.5

Event = dict[str, Any]

# It has types of its own for the events of ASGI.
wsgi: Any = WSGIMiddleware(cast("Any", wsgi_application), workers=HTTP_THREADS)


async def http(
    scope: dict[str, Any], receive: Callable[[], Awaitable[Event]], send: Callable[[Event], Awaitable[None]]
) -> None:
    """Answer a request by the WSGI stack.

    The length of a chunked body is added, without which Django would not read it. A header with an underscore is left
    out: in a WSGI environment it has the name of the one with a hyphen, which a proxy may have set.
    """
    body = await read_body(receive)
    headers = [(name, value) for name, value in scope["headers"] if b"_" not in name and name != b"content-length"]
    headers.append((b"content-length", str(len(body)).encode()))

    async def receive_body() -> Event:
        return {"type": "http.request", "body": body}

    await wsgi({**scope, "headers": headers}, receive_body, send)


async def read_body(receive: Callable[[], Awaitable[Event]]) -> bytes:
    """Return the whole body, which Daphne holds in memory anyway."""
    body, has_more = b"", True
    while has_more:
        event = await receive()
        body += event.get("body", b"")
        has_more = event.get("more_body", False)
    return body


async def refuse_handshake(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "websocket.close"})


def exit_soon() -> None:
    """Exit in EXIT_SECONDS at the latest: a thread may wait for the event loop, which has ended."""
    timer = threading.Timer(EXIT_SECONDS, os._exit, [0])
    timer.daemon = True
    timer.start()


if reactor := sys.modules.get("twisted.internet.reactor"):
    # Daphne's, which serves this application.
    reactor.addSystemEventTrigger("after", "shutdown", exit_soon)
    limit_bodies(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)

websocket_urlpatterns = [
    path("ws/notifications/", notification_consumer),  # type: ignore[arg-type] # Channels routes to ASGI applications
    re_path("", refuse_handshake),  # type: ignore[arg-type] # as above
]

application = ProtocolTypeRouter({"http": http, "websocket": URLRouter(websocket_urlpatterns)})
