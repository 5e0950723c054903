"""Rate limits on what customers create; agents have none."""

from typing import ClassVar

from django.conf import settings
from limits import RateLimitItem
from rest_framework.request import Request

from helpdesk.core.throttles import AtomicThrottle, parse_rate
from helpdesk.users.authentication import current_user


class CreationThrottle(AtomicThrottle):
    """Limits the POSTs of a customer; those with an invalid body count, too."""

    policy: ClassVar[str]
    setting: ClassVar[str]

    def get_limit(self, request: Request) -> tuple[RateLimitItem | None, str, str]:
        user = current_user(request)
        text = "" if user.is_agent else getattr(settings, self.setting)
        return parse_rate(text), self.policy, str(user.pk)


class NewTicketThrottle(CreationThrottle):
    policy = "tickets"
    setting = "THROTTLE_TICKET_RATE"


class NewCommentThrottle(CreationThrottle):
    policy = "comments"
    setting = "THROTTLE_COMMENT_RATE"
