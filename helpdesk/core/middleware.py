"""What every response carries: the request's id, and what is left of the client's rate limit."""

import re
import uuid
from collections.abc import Callable
from contextvars import ContextVar

from django.http import HttpRequest, HttpResponse

REQUEST_ID = "helpdesk.request_id"
RATE_LIMIT_HEADERS = "helpdesk.rate_limit_headers"

ACCEPTABLE_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")

current_request_id: ContextVar[str] = ContextVar("request_id", default="-")


def request_context(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Name the request by the client's X-Request-ID, or a new one, in the response, the errors and the logs."""

    def middleware(request: HttpRequest) -> HttpResponse:
        offered = request.META.get("HTTP_X_REQUEST_ID", "")
        request_id = offered if ACCEPTABLE_ID.fullmatch(offered) else uuid.uuid4().hex
        request.META[REQUEST_ID] = request_id
        current_request_id.set(request_id)
        response = get_response(request)
        response.headers["X-Request-ID"] = request_id
        for name, value in request.META.get(RATE_LIMIT_HEADERS, {}).items():
            response.headers[name] = value
        return response

    return middleware
