"""Every websocket path, one line each."""

from django.urls import URLPattern

websocket_urlpatterns: list[URLPattern] = []
