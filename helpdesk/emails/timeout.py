"""A wall-clock timeout by SIGALRM; a socket timeout alone never ends while the other side sends a byte now and then."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

# CLOCK_BOOTTIME, where it exists, also counts the time that the machine is suspended.
CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def monotonic() -> timedelta:
    return timedelta(seconds=time.clock_gettime(CLOCK))


@contextmanager
def timeout(limit: timedelta) -> Iterator[None]:
    """Raise TimeoutError in the block after `limit`; does nothing outside the main thread, which has no signals.

    Celery runs tasks in the main thread of a child process. Its own time limits are signals from the parent: after an
    outage of the broker it sends them before it learns that the task has ended, and hits the next e-mail.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.signal(signal.SIGALRM, raise_timeout)
    remaining, _interval = signal.setitimer(signal.ITIMER_REAL, limit.total_seconds())
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, remaining)
        signal.signal(signal.SIGALRM, handler)


def raise_timeout(*_: Any) -> None:
    raise TimeoutError("Timed out")
