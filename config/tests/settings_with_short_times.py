"""The settings of the tests, for a server whose time-outs are waited for."""

from datetime import timedelta

from config.settings.test import *  # noqa: F403

# Live events
WEBSOCKET_HEARTBEAT = timedelta(seconds=0.5)
WEBSOCKET_AUTH_TIMEOUT = timedelta(seconds=0.5)
WEBSOCKET_SLOW_CLIENT_TIMEOUT = timedelta(seconds=0.5)
WEBSOCKET_COUNT_INTERVAL = timedelta(seconds=0.5)
