"""A limit on what others can have mailed to somebody."""

from django.conf import settings
from limits import RateLimitItem
from rest_framework.request import Request

from helpdesk.core.throttles import UnavailableWithoutRedis, rate
from helpdesk.users.authentication import current_user

MAXIMUM_ADDRESS_LENGTH = 254


class AddressThrottle(UnavailableWithoutRedis):
    """THROTTLE_MAIL_RATE for the e-mail address in the body, whoever asks and whether it is known or not."""

    def limit_of(self, request: Request) -> tuple[RateLimitItem | None, str, str]:
        address = request.data.get("email") if isinstance(request.data, dict) else None
        if not isinstance(address, str):
            return None, "mail", ""
        return rate(settings.THROTTLE_MAIL_RATE), "mail", address.strip().lower()[:MAXIMUM_ADDRESS_LENGTH]


class NewAddressThrottle(AddressThrottle):
    """The same for an address that a user asks for; nobody is mailed about the one that they have."""

    def limit_of(self, request: Request) -> tuple[RateLimitItem | None, str, str]:
        limit, policy, who = super().limit_of(request)
        is_present = isinstance(request.data, dict) and request.data.get("email") == current_user(request).email
        return None if is_present else limit, policy, who


class AddressChangeThrottle(NewAddressThrottle):
    """THROTTLE_MAIL_RATE for the user who asks for other addresses: the present one gets a notice each time."""

    def limit_of(self, request: Request) -> tuple[RateLimitItem | None, str, str]:
        limit, policy, _address = super().limit_of(request)
        return limit, policy, str(current_user(request).pk)
