"""Which request the present work is done for: the same id in its answer, its logs, its events and its e-mails."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

MAXIMUM_LENGTH = 64

# Empty where nobody has asked for the work.
current_request_id: ContextVar[str] = ContextVar("request_id", default="")


def request_id() -> str:
    return current_request_id.get()


@contextmanager
def on_behalf_of(request: str) -> Iterator[None]:
    """Work for a request that was answered before."""
    token = current_request_id.set(request)
    try:
        yield
    finally:
        current_request_id.reset(token)
