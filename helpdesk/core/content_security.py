"""What browsers are told of an answer: where its parts may come from, what it may use, and whether it may be kept."""

from collections.abc import Callable
from http import HTTPStatus

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers

from helpdesk.core.errors import is_admin_page

NO_PAGE = "default-src 'none'; frame-ancestors 'none'"
PAGE = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# The preview of an e-mail is a frame with the styles that mail programs want: inside its elements.
ADMIN_PAGE = PAGE.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")
PERMISSIONS = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"


def content_security(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Add a Content-Security-Policy to everything; keep answers of the API out of every cache unless they say how."""
    shows_traces = settings.DEBUG

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        headers = response.headers
        if request.path_info.startswith("/api/"):
            headers.setdefault("Cache-Control", "no-store")
            patch_vary_headers(response, ["Authorization"])
        if not headers.get("Content-Type", "").startswith("text/html"):
            headers["Content-Security-Policy"] = NO_PAGE
        # Django's page for developers is made of inline styles and scripts.
        elif not (shows_traces and response.status_code >= HTTPStatus.BAD_REQUEST):
            headers["Content-Security-Policy"] = ADMIN_PAGE if is_admin_page(request) else PAGE
            headers["Permissions-Policy"] = PERMISSIONS
        return response

    return middleware
