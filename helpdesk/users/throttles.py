"""Rate limits of the e-mails that unauthenticated and authenticated requests can cause."""

from collections.abc import Callable

from django.conf import settings
from limits import RateLimitItem
from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.views import APIView

from helpdesk.core.throttles import FailClosedThrottle, parse_rate
from helpdesk.users.authentication import current_user

MAXIMUM_ADDRESS_LENGTH = 254


def get_address(request: Request) -> str:
    """Return the e-mail address in the body, in lower case; "" if there is none."""
    address = request.data.get("email") if isinstance(request.data, dict) else None
    return address.strip().lower()[:MAXIMUM_ADDRESS_LENGTH] if isinstance(address, str) else ""


def get_user_id(request: Request) -> str:
    return str(current_user(request).pk)


class MailThrottle(FailClosedThrottle):
    """THROTTLE_MAIL_RATE for each key, by default the address in the body; no limit without a key."""

    def __init__(self, get_key: Callable[[Request], str] = get_address) -> None:
        self.get_key = get_key

    def get_limit(self, request: Request) -> tuple[RateLimitItem | None, str, str]:
        key = self.get_key(request)
        return (parse_rate(settings.THROTTLE_MAIL_RATE) if key else None), "mail", key


def check_address_change(request: Request, view: APIView) -> None:
    """Count a change of address for the user, whose current address gets a notice, and then for the new address.

    Raises Throttled or ServiceUnavailable.
    """
    for get_key in (get_user_id, get_address):
        throttle = MailThrottle(get_key)
        if not throttle.allow_request(request, view):
            raise Throttled(throttle.wait())
