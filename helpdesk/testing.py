"""Helpers for the tests of all apps; never imported by the product."""

import re
import time
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from django.core.mail import EmailMessage
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext

# No server listens on this port.
UNREACHABLE_REDIS_URL = "redis://127.0.0.1:1/0"
TIMEOUT_SECONDS = 60.0
POLL_SECONDS = 0.02

Value = TypeVar("Value")


def wait_until(condition: Callable[[], Value], *, seconds: float = TIMEOUT_SECONDS, what: str = "") -> Value:
    """Wait for a condition to hold, and return its value; AssertionError, naming `what`, when it does not in time."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"Not within {seconds} s: {what or condition.__name__}")
        time.sleep(POLL_SECONDS)
    return value


def database_url() -> str:
    """Return the address of the test database, for processes that a test starts."""
    return "postgres://{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}".format(**connection.settings_dict)


def count_queries(client: Client, url: str) -> int:
    """Return the number of SQL queries of a page."""
    with CaptureQueriesContext(connection) as queries:
        status = client.get(url).status_code
    if status != 200:  # noqa: PLR2004
        raise AssertionError(f"{url} was answered {status}.")
    return len(queries)


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


def get_messages(response: Any) -> list[str]:
    """Return the messages that an admin page shows."""
    return [str(message) for message in response.context["messages"]]


def raising(error: Exception | type[Exception]) -> Callable[..., NoReturn]:
    """Return a function that raises an error."""

    def fail(*args: Any, **kwargs: Any) -> NoReturn:
        raise error

    return fail
