"""How many connections there are, and whether the processes that hold them receive what is published."""

from helpdesk.core.vital_signs import Service, vital_sign
from helpdesk.notifications.live.open_sockets import longest_silence_seconds, total


@vital_sign(Service.REDIS)
def open_websockets() -> int:
    return total()


@vital_sign(Service.REDIS, at_most=30)
def hub_silence_seconds() -> float:
    return longest_silence_seconds()
