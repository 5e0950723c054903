"""Helpers for the tests of all apps; never imported by the product."""

import re

from django.core.mail import EmailMessage
from django.http import HttpResponse


def get_mailed_token(message: EmailMessage) -> str:
    """Return the token in the link of an account e-mail."""
    found = re.search(r"https?://\S+/(?:verify-email|reset-password)#(\S+)", str(message.body))
    if found is None:
        raise AssertionError(f"There is no token in: {message.body}")
    return found[1]


def get_response_parts(response: HttpResponse) -> tuple[int, bytes, dict[str, str]]:
    """Return status, body and headers of a response, without the id that differs for each request."""
    headers = {name: value for name, value in response.items() if name != "X-Request-ID"}
    return response.status_code, response.content, headers
