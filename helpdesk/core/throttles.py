"""Rate limits that hold under concurrency: an atomic script in Redis counts each request."""

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
    """The state of a limit after a request: whether it is allowed, and the requests that remain until the reset."""

    is_allowed: bool
    remaining: int
    reset_seconds: int


class AtomicThrottle(BaseThrottle):
    """Counts a request towards the limit of a subclass; allows it while Redis is unavailable.

    A request that one throttle has rejected is not counted by the next.
    """

    retry_after_seconds: int | None = None

    def allow_request(self, request: Request, view: "APIView") -> bool:
        limit, policy, key = self.get_limit(request)
        if limit is None or request.META.get(IS_REFUSED):
            return True
        try:
            window = count(limit, policy, key)
        except redis.RedisError:
            logger.warning("Redis unavailable: limit %s not counted", policy)
            return self.allow_without_redis()
        add_headers(request, limit, policy, window)
        if not window.is_allowed:
            self.retry_after_seconds = window.reset_seconds
            request.META[IS_REFUSED] = True
        return window.is_allowed

    def get_limit(self, request: Request) -> tuple[RateLimitItem | None, str, str]:
        """Return the limit (None for no limit), the name of its policy, and the key that it counts by."""
        raise NotImplementedError

    def allow_without_redis(self) -> bool:
        return True

    def wait(self) -> float | None:
        return self.retry_after_seconds


class RequestThrottle(AtomicThrottle):
    """THROTTLE_USER_RATE for a user, THROTTLE_ANON_RATE for the network of an anonymous client."""

    def allow_request(self, request: Request, view: "APIView") -> bool:
        request.META[IS_COUNTED] = True
        return super().allow_request(request, view)

    def get_limit(self, request: Request) -> tuple[RateLimitItem | None, str, str]:
        if request.user and request.user.is_authenticated:
            return parse_rate(settings.THROTTLE_USER_RATE), "user", str(request.user.pk)
        return parse_rate(settings.THROTTLE_ANON_RATE), "anon", client_network(request)


class FailClosedThrottle(AtomicThrottle):
    """Responds 503 while Redis is unavailable, for limits that protect more than capacity."""

    def allow_without_redis(self) -> bool:
        raise ServiceUnavailable


class CredentialThrottle(FailClosedThrottle, RequestThrottle):
    """Limits views that accept a password or a refresh token."""


def count_and_respond(error: Exception, context: dict[str, Any]) -> Response | None:
    """The API's EXCEPTION_HANDLER: counts the request if no throttle has, and returns the response to the error.

    DRF checks the limits last: without this, requests with an invalid token or without permission would not count.
    """
    request, view = context["request"], context["view"]
    if isinstance(error, APIException | Http404 | PermissionDenied) and not request.META.get(IS_COUNTED):
        try:
            error = get_limit_error(request, view) or error
        except OperationalError as unavailable:
            error = unavailable
    return problem_response(error, context)


def get_limit_error(request: Request, view: "APIView") -> APIException | None:
    """Count a request; return the error if it exceeds a limit. One with an invalid token counts for its network."""
    with suppress(APIException):
        request.user  # noqa: B018 -- anonymous from here on if the token is invalid
    for throttle in view.get_throttles():
        try:
            if isinstance(throttle, RequestThrottle) and not throttle.allow_request(request, view):
                return Throttled(throttle.wait())
        except ServiceUnavailable as unavailable:
            return unavailable
    return None


def check_limit(text: str, policy: str, key: str) -> None:
    """Count towards a limit; raise Throttled if it is exceeded, ServiceUnavailable without Redis."""
    limit = parse_rate(text)
    if limit is None:
        return
    try:
        window = count(limit, policy, key)
    except redis.RedisError:
        logger.warning("Redis unavailable: limit %s not counted", policy)
        raise ServiceUnavailable from None
    if not window.is_allowed:
        raise Throttled(window.reset_seconds)


def count(limit: RateLimitItem, policy: str, key: str) -> Window:
    """Count a request for a key; raise RedisError."""
    with redis.circuit.closed():
        is_allowed = limiter().hit(limit, policy, key)
        reset_time, remaining = limiter().get_window_stats(limit, policy, key)
    return Window(is_allowed, remaining, max(1, math.ceil(reset_time - time.time())))


def add_headers(request: Request, limit: RateLimitItem, policy: str, window: Window) -> None:
    """Add a policy to the response headers (draft-ietf-httpapi-ratelimit-headers-10): one list item each."""
    headers = request.META.setdefault(RATE_LIMIT_HEADERS, {})
    for name, item in {
        "RateLimit-Policy": f'"{policy}";q={limit.amount};w={limit.get_expiry()}',
        "RateLimit": f'"{policy}";r={window.remaining};t={window.reset_seconds}',
    }.items():
        headers[name] = f"{headers[name]}, {item}" if name in headers else item


@lru_cache
def parse_rate(text: str) -> RateLimitItem | None:
    """Parse "100/minute"; None (no limit) for an empty text."""
    return parse(text) if text else None


@lru_cache
def limiter() -> MovingWindowRateLimiter:
    return MovingWindowRateLimiter(RedisStorage(settings.REDIS_URL, connection_pool=redis.pool()))
