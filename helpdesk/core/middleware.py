"""Response headers: the request id, rate limits, caching, and what browsers allow a page to load and use."""

import re
import uuid
from collections.abc import Callable

from csp.constants import UNSAFE_INLINE
from csp.middleware import CSPMiddleware, PolicyParts
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers

from helpdesk.core.errors import is_admin_page
from helpdesk.core.request_id import MAXIMUM_LENGTH, on_behalf_of

RATE_LIMIT_HEADERS = "helpdesk.rate_limit_headers"
ACCEPTABLE_ID = re.compile(rf"[A-Za-z0-9._-]{{8,{MAXIMUM_LENGTH}}}")
NOTHING = "default-src 'none'; frame-ancestors 'none'"


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


def default_headers(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Keep API responses out of caches unless they say how; deny pages the features of the device."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if request.path_info.startswith("/api/"):
            response.headers.setdefault("Cache-Control", "no-store")
            patch_vary_headers(response, ["Authorization"])
        if is_page(response):
            response.headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"
        return response

    return middleware


class ContentSecurityPolicyMiddleware(CSPMiddleware):
    """Sends CONTENT_SECURITY_POLICY with pages, and a policy that allows nothing with other responses."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if is_page(response):
            return super().process_response(request, response)
        response.headers["Content-Security-Policy"] = NOTHING
        return response

    def get_policy_parts(
        self,
        request: HttpRequest,
        response: HttpResponseBase,
        report_only: bool = False,  # noqa: FBT001, FBT002 -- the library's signature
    ) -> PolicyParts:
        parts = super().get_policy_parts(request, response, report_only)
        if is_admin_page(request) and not report_only:
            # The preview of an e-mail is a frame, whose elements have the styles that mail programs need.
            parts.update = {"style-src": [UNSAFE_INLINE]}
        return parts


def is_page(response: HttpResponseBase) -> bool:
    return response.headers.get("Content-Type", "").startswith("text/html")
