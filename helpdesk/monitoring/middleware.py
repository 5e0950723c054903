"""Metrics and the access log of requests."""

import logging
import re
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.encoding import escape_uri_path
from django.utils.functional import SimpleLazyObject

from helpdesk.monitoring.metrics import REQUEST_SECONDS, REQUESTS

METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
# Static files and unknown paths: a label must have few values.
NO_ROUTE = "none"
# Regular expressions and converters in Django's URL patterns.
PARAMETER = re.compile(r"\(\?P<(\w+)>[^)]*\)|<(?:\w+:)?(\w+)>")
# Logged at DEBUG: orchestrators and the proxy send them every few seconds.
PROBES = frozenset({"/livez", "/readyz"})

access_log = logging.getLogger("helpdesk.access")


def observe_requests(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Count, time and log each request."""

    def middleware(request: HttpRequest) -> HttpResponse:
        started = time.perf_counter()
        response = get_response(request)
        seconds = time.perf_counter() - started
        method, route = get_method(request), get_route(request)
        REQUESTS.labels(method, route, response.status_code).inc()
        REQUEST_SECONDS.labels(method, route).observe(seconds)
        log_access(request, response, seconds=seconds)
        return response

    return middleware


def get_method(request: HttpRequest) -> str:
    return request.method if request.method in METHODS else "other"


def get_route(request: HttpRequest) -> str:
    return format_route(request.resolver_match.route) if request.resolver_match else NO_ROUTE


@lru_cache(maxsize=1024)
def format_route(pattern: str) -> str:
    """Return a URL pattern of Django as a template: /api/tickets/{pk}/."""
    route = PARAMETER.sub(lambda match: f"{{{match[1] or match[2]}}}", pattern)
    return "/" + route.translate(str.maketrans("", "", "^$\\"))


def log_access(request: HttpRequest, response: HttpResponse, *, seconds: float) -> None:
    """Log a request on one line, without its query string, which may contain a token."""
    level = logging.DEBUG if request.path in PROBES else logging.INFO
    if not access_log.isEnabledFor(level):
        return
    fields = {
        "method": request.method,
        "path": escape_uri_path(request.path),
        "status": response.status_code,
        "milliseconds": round(seconds * 1000, 1),
        "user_id": get_known_user_id(request),
    }
    access_log.log(level, "%(method)s %(path)s %(status)s in %(milliseconds)s ms", fields, extra=fields)


def get_known_user_id(request: HttpRequest) -> Any:
    """Return the id of the user if the request has loaded it, None otherwise; runs no query."""
    user: Any = getattr(request, "user", None)
    if isinstance(user, SimpleLazyObject):
        user = getattr(request, "_cached_user", None)
    return getattr(user, "pk", None)
