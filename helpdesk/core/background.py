"""Work for which nobody should wait: done in a thread of its own, as long as the process lives."""

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

MOST_WAITING = 10_000
MOST_AT_ONCE = 100


class Background(Generic[T]):
    """Passes what it is given on to `work`, in order and many at once.

    What waits while `work` is held up, as by a Redis that does not answer, is bounded: the oldest is dropped. So it
    is for what may be lost, because something else makes up for it.
    """

    def __init__(self, work: Callable[[list[T]], None], *, name: str) -> None:
        self.work = work
        self.name = name
        self.waiting: deque[T] = deque(maxlen=MOST_WAITING)
        self.bell = threading.Event()
        self.starting = threading.Lock()
        self.thread: threading.Thread | None = None

    def give(self, item: T) -> None:
        """Return at once."""
        self.waiting.append(item)
        self.bell.set()
        with self.starting:
            if self.thread is None or not self.thread.is_alive():
                self.thread = threading.Thread(target=self.run, name=self.name, daemon=True)
                self.thread.start()

    def run(self) -> None:
        while self.bell.wait():
            self.bell.clear()
            while items := [self.waiting.popleft() for _ in range(min(len(self.waiting), MOST_AT_ONCE))]:
                self.work(items)
