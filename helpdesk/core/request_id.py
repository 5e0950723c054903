"""The id of the request that the current work is done for, in responses, log lines, events and e-mails."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

MAXIMUM_LENGTH = 64

# Empty for work that no request has caused.
current_request_id: ContextVar[str] = ContextVar("request_id", default="")


def request_id() -> str:
    return current_request_id.get()


@contextmanager
def on_behalf_of(request: str) -> Iterator[None]:
    """Set the request id for the body of the `with` statement."""
    token = current_request_id.set(request)
    try:
        yield
    finally:
        current_request_id.reset(token)
