"""Work for which nobody should wait: done in a thread of its own, as long as the process lives."""

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar
from weakref import WeakSet

T = TypeVar("T")

MOST_WAITING = 10_000
MOST_AT_ONCE = 100
FINISH_SECONDS = 2.0


class Background(Generic[T]):
    """Passes what it is given on to `work`, in order and many at once.

    What waits while `work` is held up, as by a Redis that does not answer, is bounded: the oldest is dropped. So it
    is for what may be lost, because something else makes up for it.
    """

    def __init__(self, work: Callable[[list[T]], None], *, name: str) -> None:
        self.work = work
        self.name = name
        self.waiting: deque[T] = deque(maxlen=MOST_WAITING)
        self.is_working = False
        self.changed = threading.Condition()
        self.thread: threading.Thread | None = None
        everything.add(self)

    def give(self, item: T) -> None:
        """Return at once."""
        with self.changed:
            self.waiting.append(item)
            if self.thread is None or not self.thread.is_alive():
                self.thread = threading.Thread(target=self.run, name=self.name, daemon=True)
                self.thread.start()
            self.changed.notify_all()

    def run(self) -> None:
        while True:
            items = self.take()
            try:
                self.work(items)
            finally:
                with self.changed:
                    self.is_working = False
                    self.changed.notify_all()

    def take(self) -> list[T]:
        with self.changed:
            self.changed.wait_for(lambda: self.waiting)
            self.is_working = True
            return [self.waiting.popleft() for _ in range(min(len(self.waiting), MOST_AT_ONCE))]

    def finish(self) -> bool:
        """Wait until all is done; False when it is not within FINISH_SECONDS."""
        with self.changed:
            return self.changed.wait_for(lambda: not (self.waiting or self.is_working), timeout=FINISH_SECONDS)


everything: WeakSet[Background[Any]] = WeakSet()


def finish() -> None:
    """Let what this process was given be done before it ends."""
    for background in list(everything):
        background.finish()
