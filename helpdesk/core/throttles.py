"""Rate limits that hold under concurrency: one atomic script in Redis decides each request."""

import logging
import math
import time
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.http import Http404
from limits import RateLimitItem, parse
from limits.storage import RedisStorage
from limits.strategies import MovingWindowRateLimiter
from rest_framework.exceptions import APIException, Throttled
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle

from helpdesk.core import redis
from helpdesk.core.client_address import client_network
from helpdesk.core.errors import ServiceUnavailable, problem_response
from helpdesk.core.middleware import RATE_LIMIT_HEADERS

if TYPE_CHECKING:
    from rest_framework.views import APIView

IS_COUNTED = "helpdesk.is_counted"
IS_REFUSED = "helpdesk.is_refused_by_limit"

logger = logging.getLogger(__name__)


class Window(NamedTuple):
    """What a limit says of one request: whether it is allowed, and the requests that remain until the reset."""

    is_allowed: bool
    remaining: int
    reset_seconds: int


class AtomicThrottle(BaseThrottle):
    """Counts a request towards the limit that a subclass names; allows it while Redis is down.

    What one limit has refused is not counted by the next.
    """

    retry_after_seconds: int | None = None

    def allow_request(self, request: Request, view: "APIView") -> bool:
        limit, policy, who = self.limit_of(request)
        if limit is None or request.META.get(IS_REFUSED):
            return True
        try:
            window = count(limit, policy, who)
        except redis.RedisError:
            logger.warning("Redis does not answer: the limit %s is not counted", policy)
            return self.without_redis()
        add_headers(request, limit, policy, window)
        if not window.is_allowed:
            self.retry_after_seconds = window.reset_seconds
            request.META[IS_REFUSED] = True
        return window.is_allowed

    def limit_of(self, request: Request) -> tuple[RateLimitItem | None, str, str]:
        """Return the limit, None for no limit, the name of its policy, and whom it counts."""
        raise NotImplementedError

    def without_redis(self) -> bool:
        return True

    def wait(self) -> float | None:
        return self.retry_after_seconds


class RequestThrottle(AtomicThrottle):
    """THROTTLE_USER_RATE for a user, THROTTLE_ANON_RATE for the address of everybody else."""

    def allow_request(self, request: Request, view: "APIView") -> bool:
        request.META[IS_COUNTED] = True
        return super().allow_request(request, view)

    def limit_of(self, request: Request) -> tuple[RateLimitItem | None, str, str]:
        if request.user and request.user.is_authenticated:
            return rate(settings.THROTTLE_USER_RATE), "user", str(request.user.pk)
        return rate(settings.THROTTLE_ANON_RATE), "anon", client_network(request)


class UnavailableWithoutRedis(AtomicThrottle):
    """Answers 503 while Redis is down, where a limit protects more than this service's own load."""

    def without_redis(self) -> bool:
        raise ServiceUnavailable


class CredentialThrottle(UnavailableWithoutRedis, RequestThrottle):
    """Limits requests to views that take a password or a refresh token."""


def problem_of_counted_request(error: Exception, context: dict[str, Any]) -> Response | None:
    """The API's EXCEPTION_HANDLER: answers an error once the request is counted.

    DRF looks at the limits last, and does not count what it refuses before: a bad token, no permission, no rows.
    """
    request, view = context["request"], context["view"]
    if isinstance(error, APIException | Http404 | PermissionDenied) and not request.META.get(IS_COUNTED):
        try:
            error = refusal_by_limit(request, view) or error
        except OperationalError as unavailable:
            error = unavailable
    return problem_response(error, context)


def refusal_by_limit(request: Request, view: "APIView") -> APIException | None:
    """Count a request; return the error past the limit. Whoever has a bad token is counted by address."""
    with suppress(APIException):
        request.user  # noqa: B018 -- from here on it is anonymous if the token is bad
    for throttle in view.get_throttles():
        try:
            if isinstance(throttle, RequestThrottle) and not throttle.allow_request(request, view):
                return Throttled(throttle.wait())
        except ServiceUnavailable as unavailable:
            return unavailable
    return None


def check_limit(text: str, policy: str, who: str) -> None:
    """Count towards a limit that holds without Redis, too. Raises Throttled or ServiceUnavailable."""
    limit = rate(text)
    if limit is None:
        return
    try:
        window = count(limit, policy, who)
    except redis.RedisError:
        logger.warning("Redis does not answer: the limit %s is not counted", policy)
        raise ServiceUnavailable from None
    if not window.is_allowed:
        raise Throttled(window.reset_seconds)


def count(limit: RateLimitItem, policy: str, who: str) -> Window:
    """Count one request of somebody; raises RedisError."""
    with redis.circuit.closed():
        is_allowed = limiter().hit(limit, policy, who)
        reset_time, remaining = limiter().get_window_stats(limit, policy, who)
    return Window(is_allowed, remaining, max(1, math.ceil(reset_time - time.time())))


def add_headers(request: Request, limit: RateLimitItem, policy: str, window: Window) -> None:
    """Have the response list a policy: draft-ietf-httpapi-ratelimit-headers-10, one list item for each."""
    headers = request.META.setdefault(RATE_LIMIT_HEADERS, {})
    for name, item in {
        "RateLimit-Policy": f'"{policy}";q={limit.amount};w={limit.get_expiry()}',
        "RateLimit": f'"{policy}";r={window.remaining};t={window.reset_seconds}',
    }.items():
        headers[name] = f"{headers[name]}, {item}" if name in headers else item


@lru_cache
def rate(text: str) -> RateLimitItem | None:
    """Return "100/minute" parsed; None, no limit, for an empty text."""
    return parse(text) if text else None


@lru_cache
def limiter() -> MovingWindowRateLimiter:
    return MovingWindowRateLimiter(RedisStorage(settings.REDIS_URL, connection_pool=redis.pool()))
