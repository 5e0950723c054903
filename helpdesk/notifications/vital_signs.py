"""How many are told live."""

from helpdesk.core.vital_signs import Service, vital_sign
from helpdesk.notifications.open_sockets import total


@vital_sign(Service.REDIS)
def open_websockets() -> int:
    return total()
