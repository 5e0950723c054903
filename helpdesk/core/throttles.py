"""Rate limits that hold under concurrency: one atomic script in Redis decides each request."""

import logging
import math
import time
from functools import lru_cache
from typing import TYPE_CHECKING

from django.conf import settings
from limits import RateLimitItem, parse
from limits.storage import RedisStorage
from limits.strategies import MovingWindowRateLimiter
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from helpdesk.core import redis
from helpdesk.core.client_address import client_address
from helpdesk.core.errors import ServiceUnavailable
from helpdesk.core.middleware import RATE_LIMIT_HEADERS

if TYPE_CHECKING:
    from rest_framework.views import APIView

logger = logging.getLogger(__name__)


class RequestThrottle(BaseThrottle):
    """THROTTLE_USER_RATE for a user, THROTTLE_ANON_RATE for an anonymous address; lets pass when Redis is down."""

    retry_after_seconds: int | None = None

    def allow_request(self, request: Request, view: "APIView") -> bool:
        limit, policy, who = self.limit_of(request)
        if limit is None:
            return True
        try:
            with redis.circuit.closed():
                return self.is_within(limit, policy, who, request)
        except redis.RedisError:
            logger.warning("Redis does not answer: the limit %s is not counted", policy)
            return self.without_redis()

    def limit_of(self, request: Request) -> tuple[RateLimitItem | None, str, str]:
        """Return the limit, the name of its policy, and whom it counts."""
        if request.user and request.user.is_authenticated:
            return rate(settings.THROTTLE_USER_RATE), "user", str(request.user.pk)
        return rate(settings.THROTTLE_ANON_RATE), "anon", client_address(request)

    def is_within(self, limit: RateLimitItem, policy: str, who: str, request: Request) -> bool:
        allowed = limiter().hit(limit, policy, who)
        reset_time, remaining = limiter().get_window_stats(limit, policy, who)
        reset_seconds = max(1, math.ceil(reset_time - time.time()))
        request.META[RATE_LIMIT_HEADERS] = {
            "RateLimit-Policy": f'"{policy}";q={limit.amount};w={limit.get_expiry()}',
            "RateLimit": f'"{policy}";r={remaining};t={reset_seconds}',
        }
        self.retry_after_seconds = None if allowed else reset_seconds
        return allowed

    def without_redis(self) -> bool:
        return True

    def wait(self) -> float | None:
        return self.retry_after_seconds


class CredentialThrottle(RequestThrottle):
    """Guards the doors that take a password or a refresh token: they stay shut while nobody can count."""

    def without_redis(self) -> bool:
        raise ServiceUnavailable


@lru_cache
def rate(text: str) -> RateLimitItem | None:
    """Return "100/minute" parsed; None, no limit, for an empty text."""
    return parse(text) if text else None


@lru_cache
def limiter() -> MovingWindowRateLimiter:
    return MovingWindowRateLimiter(RedisStorage(settings.REDIS_URL, connection_pool=redis.pool()))
