"""Health checks of the websocket connections."""

from helpdesk.monitoring.health import Service, health_check
from helpdesk.notifications.live.hub import valid_reports


@health_check(Service.REDIS)
def open_websockets() -> int:
    return sum(report.connections for report in valid_reports())


@health_check(Service.REDIS, at_most=30)
def hub_silence_seconds() -> float:
    return max((report.silence_seconds for report in valid_reports()), default=0.0)
