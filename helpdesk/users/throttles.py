"""A limit on what others can have mailed to somebody."""

from django.conf import settings
from limits import RateLimitItem
from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.views import APIView

from helpdesk.core.throttles import UnavailableWithoutRedis, rate
from helpdesk.users.authentication import current_user

MAXIMUM_ADDRESS_LENGTH = 254


class AddressThrottle(UnavailableWithoutRedis):
    """THROTTLE_MAIL_RATE for the e-mail address in the body, whoever asks and whether it is known or not."""

    def limit_of(self, request: Request) -> tuple[RateLimitItem | None, str, str]:
        address = request.data.get("email") if isinstance(request.data, dict) else None
        if not isinstance(address, str) or not address.strip():
            return None, "mail", ""
        return rate(settings.THROTTLE_MAIL_RATE), "mail", address.strip().lower()[:MAXIMUM_ADDRESS_LENGTH]


class AddressChangeThrottle(UnavailableWithoutRedis):
    """THROTTLE_MAIL_RATE for the user who asks for other addresses: the present one gets a notice each time."""

    def limit_of(self, request: Request) -> tuple[RateLimitItem | None, str, str]:
        return rate(settings.THROTTLE_MAIL_RATE), "mail", str(current_user(request).pk)


def check_address_change(request: Request, view: APIView) -> None:
    """Count a change that will be mailed, for the user and then for the address in the body.

    Raises Throttled or ServiceUnavailable.
    """
    for throttle in (AddressChangeThrottle(), AddressThrottle()):
        if not throttle.allow_request(request, view):
            raise Throttled(throttle.wait())
