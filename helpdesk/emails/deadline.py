"""A time within which something has to end, however often the other side says a word."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

# Counts also what a machine sleeps, where the system has such a clock.
CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def now() -> timedelta:
    """Return the time since some moment, whatever stops the process or is done to the time of day."""
    return timedelta(seconds=time.clock_gettime(CLOCK))


@contextmanager
def deadline(limit: timedelta) -> Iterator[None]:
    """Raise TimeoutError in what takes longer than `limit`.

    It is a signal to oneself, so it holds in the main thread alone, in which a worker's process runs its tasks. Celery's
    own limits are signals of the parent: after an outage of the broker it sends them before it learns that the task has
    ended, and hits a process that sends the next e-mail.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.signal(signal.SIGALRM, end)
    remaining, _interval = signal.setitimer(signal.ITIMER_REAL, limit.total_seconds())
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, remaining)
        signal.signal(signal.SIGALRM, handler)


def end(*_: Any) -> None:
    raise TimeoutError("It took too long")
