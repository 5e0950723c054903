"""Lets several sessions of the database work at the same time."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import ParamSpec, Protocol, TypeVar

from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper

SESSIONS = 2

P = ParamSpec("P")
T = TypeVar("T")


class Submit(Protocol):
    def __call__(self, func: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]: ...


@contextmanager
def sessions() -> Iterator[Submit]:
    """Give a function that calls another one in a thread with a session of its own, or here if a transaction runs."""
    if connection.in_atomic_block:
        yield call_here
        return
    opened: list[BaseDatabaseWrapper] = []
    try:
        with ThreadPoolExecutor(SESSIONS, initializer=open_session, initargs=(opened,)) as threads:
            yield threads.submit
    finally:
        for session in opened:
            session.close()


def results(calls: Iterable[Future[T]], *, ahead: int) -> Iterator[T]:
    """Yield what the calls return, in order; at most that many more are made beforehand."""
    made: deque[Future[T]] = deque()
    for call in calls:
        made.append(call)
        if len(made) > ahead:
            yield made.popleft().result()
    for call in made:
        yield call.result()


def open_session(opened: list[BaseDatabaseWrapper]) -> None:
    """Allow the thread's session to be closed by another one."""
    session = connections[DEFAULT_DB_ALIAS]
    session.inc_thread_sharing()
    opened.append(session)


def call_here(func: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
    future: Future[T] = Future()
    future.set_result(func(*args, **kwargs))
    return future
