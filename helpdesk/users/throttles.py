"""A limit on what strangers can have mailed to somebody."""

from django.conf import settings
from limits import RateLimitItem
from rest_framework.request import Request

from helpdesk.core.throttles import CredentialThrottle, rate

MAXIMUM_ADDRESS_LENGTH = 254


class AddressThrottle(CredentialThrottle):
    """THROTTLE_MAIL_RATE for the e-mail address in the body, whoever asks and whether it is known or not."""

    def limit_of(self, request: Request) -> tuple[RateLimitItem | None, str, str]:
        address = request.data.get("email") if isinstance(request.data, dict) else None
        if not isinstance(address, str):
            return None, "mail", ""
        return rate(settings.THROTTLE_MAIL_RATE), "mail", address.strip().lower()[:MAXIMUM_ADDRESS_LENGTH]
