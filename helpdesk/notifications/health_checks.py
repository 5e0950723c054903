"""Health checks of the websocket connections."""

from helpdesk.monitoring.health import Service, health_check
from helpdesk.notifications.live.open_sockets import longest_silence_seconds, total


@health_check(Service.REDIS)
def open_websockets() -> int:
    return total()


@health_check(Service.REDIS, at_most=30)
def hub_silence_seconds() -> float:
    return longest_silence_seconds()
