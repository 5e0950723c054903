"""How many requests there are, of which kind, and how long they take."""

import re
from functools import lru_cache

from django.http import HttpRequest, HttpResponse

from helpdesk.monitoring.metrics import Count, Duration, tallies

METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
# What leads nowhere, as static files and the guesses of strangers, is one route.
NO_ROUTE = "none"
GROUP = re.compile(r"\(\?P<(\w+)>[^)]*\)")
CONVERTER = re.compile(r"<(?:\w+:)?(\w+)>")

requests = Count(
    "helpdesk_requests_total", "Answered requests, by route and status.", labels=["method", "route", "status"]
)
durations = Duration("helpdesk_request_seconds", "Time until the answer, by route.", labels=["method", "route"])


def count_request(request: HttpRequest, response: HttpResponse, *, seconds: float) -> None:
    method, route = method_of(request), route_of(request)
    key = requests.key(method, route, str(response.status_code))
    tallies.add({key: 1, **durations.amounts(seconds, method, route)})


def method_of(request: HttpRequest) -> str:
    return request.method if request.method in METHODS else "other"


def route_of(request: HttpRequest) -> str:
    return readable(request.resolver_match.route) if request.resolver_match else NO_ROUTE


@lru_cache(maxsize=1024)
def readable(route: str) -> str:
    """Return Django's pattern as one would write it: /api/tickets/{pk}/."""
    return "/" + CONVERTER.sub(r"{\1}", GROUP.sub(r"{\1}", route)).replace("^", "").replace("$", "").replace("\\", "")
