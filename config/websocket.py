"""Every websocket path, one line each."""

from typing import Any

from django.urls import path, re_path

from helpdesk.notifications.live.consumer import notification_consumer


async def not_found(scope: Any, receive: Any, send: Any) -> None:
    """Refuse the handshake."""
    await send({"type": "websocket.close"})


websocket_urlpatterns = [
    path("ws/notifications/", notification_consumer),  # type: ignore[arg-type] # Channels routes to ASGI applications
    re_path("", not_found),  # type: ignore[arg-type] # as above
]
