"""Every websocket path, one line each."""

from typing import Any

from django.urls import path, re_path

from helpdesk.notifications.live.consumer import NotificationConsumer


async def not_found(scope: Any, receive: Any, send: Any) -> None:
    """Refuse the handshake."""
    await send({"type": "websocket.close"})


websocket_urlpatterns = [
    path("ws/notifications/", NotificationConsumer.as_asgi()),  # type: ignore[no-untyped-call]
    re_path("", not_found),  # type: ignore[arg-type] # Channels' routes lead to ASGI applications
]
