"""Side effects of a write: Celery, Redis and HTTP only after its commit, and what must not wait for them by a queue."""

import logging
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Generic, ParamSpec, TypeVar

from django.db import transaction

from helpdesk.core.redis import RedisError

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

MAX_QUEUE_SIZE = 10_000
MAX_BATCH_SIZE = 100
FLUSH_TIMEOUT_SECONDS = 2.0


def after_commit(func: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
    """Call func after the commit of the current transaction. An exception is logged and never raised.

    An error of Redis is logged on one line, since what it loses is recovered later; others with their traceback.
    """

    def call() -> None:
        try:
            func(*args, **kwargs)
        except RedisError as error:
            logger.warning("Redis unavailable: skipped %s after the commit: %s", func.__qualname__, error)

    transaction.on_commit(call, robust=True)


class BoundedQueue(Generic[T]):
    """Passes items to `work` in order, in batches, in a daemon thread.

    A full queue drops its oldest item, as when Redis does not respond, and an exception of `work` loses its batch: it is
    for work that something else makes up for.
    """

    def __init__(self, work: Callable[[list[T]], None], *, name: str) -> None:
        self.work = work
        self.name = name
        self.items: queue.Queue[T] = queue.Queue(MAX_QUEUE_SIZE)
        self.lock = threading.Lock()
        self.thread: threading.Thread | None = None
        queues.append(self)

    def put(self, item: T) -> None:
        """Add an item without waiting; start the thread if this process has none yet."""
        with self.lock:
            if self.items.full():
                with suppress(queue.Empty):
                    self.items.get_nowait()
                    self.items.task_done()
            self.items.put_nowait(item)
            if self.thread is None or not self.thread.is_alive():
                self.thread = threading.Thread(target=self.run, name=self.name, daemon=True)
                self.thread.start()

    def run(self) -> None:
        while True:
            batch = [self.items.get()]
            with suppress(queue.Empty):
                while len(batch) < MAX_BATCH_SIZE:
                    batch.append(self.items.get_nowait())
            try:
                self.work(batch)
            finally:
                for _ in batch:
                    self.items.task_done()

    def flush(self) -> bool:
        """Wait until all items are processed; False if they are not after FLUSH_TIMEOUT_SECONDS."""
        with self.items.all_tasks_done:
            return self.items.all_tasks_done.wait_for(
                lambda: not self.items.unfinished_tasks, timeout=FLUSH_TIMEOUT_SECONDS
            )


queues: list[BoundedQueue[Any]] = []


def flush_all() -> None:
    """Flush the queues of this process before it ends."""
    for each in queues:
        each.flush()
