"""Threads in which sockets read the database: without their own they would share a single one."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from channels.db import DatabaseSyncToAsync

P = ParamSpec("P")
T = TypeVar("T")

# Each thread keeps a connection.
readers = ThreadPoolExecutor(4, thread_name_prefix="sockets")


async def in_reader(func: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function that uses the database in one of the threads."""
    run = DatabaseSyncToAsync(func, thread_sensitive=False, executor=readers)
    result: T = await run(*args, **kwargs)
    return result
