"""Response headers of every request: its id, and the state of the rate limits that apply to it."""

import re
import uuid
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from helpdesk.core.request_id import MAXIMUM_LENGTH, on_behalf_of

RATE_LIMIT_HEADERS = "helpdesk.rate_limit_headers"
ACCEPTABLE_ID = re.compile(rf"[A-Za-z0-9._-]{{8,{MAXIMUM_LENGTH}}}")


def request_context(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Set the request id to the client's X-Request-ID if it is acceptable, and to a new one otherwise."""

    def middleware(request: HttpRequest) -> HttpResponse:
        offered = request.META.get("HTTP_X_REQUEST_ID", "")
        request_id = offered if ACCEPTABLE_ID.fullmatch(offered) else uuid.uuid4().hex
        with on_behalf_of(request_id):
            response = get_response(request)
        response.headers["X-Request-ID"] = request_id
        for name, value in request.META.get(RATE_LIMIT_HEADERS, {}).items():
            response.headers[name] = value
        return response

    return middleware
