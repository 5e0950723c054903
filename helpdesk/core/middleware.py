"""What every response carries: the request's id, and what is left of the client's rate limit; and what is logged."""

import logging
import re
import time
import uuid
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.encoding import escape_uri_path
from django.utils.functional import SimpleLazyObject

from helpdesk.core.request_id import MAXIMUM_LENGTH, current_request_id
from helpdesk.core.request_metrics import count_request

REQUEST_ID = "helpdesk.request_id"
RATE_LIMIT_HEADERS = "helpdesk.rate_limit_headers"

ACCEPTABLE_ID = re.compile(rf"[A-Za-z0-9._-]{{8,{MAXIMUM_LENGTH}}}")
# They come every few seconds from everywhere.
PROBES = frozenset({"/livez", "/readyz"})

access_log = logging.getLogger("helpdesk.access")


def request_context(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Name the request by the client's X-Request-ID, or a new one, in the response, the errors and the logs."""

    def middleware(request: HttpRequest) -> HttpResponse:
        started = time.perf_counter()
        offered = request.META.get("HTTP_X_REQUEST_ID", "")
        request_id = offered if ACCEPTABLE_ID.fullmatch(offered) else uuid.uuid4().hex
        request.META[REQUEST_ID] = request_id
        token = current_request_id.set(request_id)
        try:
            response = get_response(request)
            response.headers["X-Request-ID"] = request_id
            for name, value in request.META.get(RATE_LIMIT_HEADERS, {}).items():
                response.headers[name] = value
            seconds = time.perf_counter() - started
            count_request(request, response, seconds=seconds)
            log_access(request, response, seconds=seconds)
        finally:
            current_request_id.reset(token)
        return response

    return middleware


def log_access(request: HttpRequest, response: HttpResponse, *, seconds: float) -> None:
    """Log the request in one line, without its query string, which is the client's business."""
    level = logging.DEBUG if request.path in PROBES else logging.INFO
    if not access_log.isEnabledFor(level):
        return
    fields = {
        "method": request.method,
        "path": escape_uri_path(request.path),
        "status": response.status_code,
        "milliseconds": round(seconds * 1000, 1),
        "user_id": known_user_id(request),
    }
    access_log.log(level, "%(method)s %(path)s %(status)s in %(milliseconds)s ms", fields, extra={"fields": fields})


def known_user_id(request: HttpRequest) -> Any:
    """Return who makes the request, if anybody has asked so far: it costs no query."""
    user: Any = getattr(request, "user", None)
    if isinstance(user, SimpleLazyObject):
        user = getattr(request, "_cached_user", None)
    return getattr(user, "pk", None)
