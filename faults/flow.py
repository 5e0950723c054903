"""The traffic during a fault: writers and listeners, from a noted place in the ledger on."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from faults.listeners import Listener
from faults.program import until
from faults.site import Site
from faults.writers import Write, Writer

WRITERS = 2
PATIENCE_SECONDS = float(os.environ.get("FAULT_PATIENCE", "30"))
HEADS = "SELECT username, last_seq FROM notifications_stream JOIN users_user ON id = user_id"


class Flow:
    """What happens while a test breaks things; `settle` ends it."""

    def __init__(self, world: Site, *, seed: int, repeats: bool = False) -> None:
        self.world = world
        ((self.begin,),) = world.sql("SELECT coalesce(max(id), 0) FROM tickets_ticketevent")
        self.mails_before = len(world.mails("accepted"))
        self.writers = [Writer(world, number, seed=seed, repeats=repeats) for number in range(1, WRITERS + 1)]
        names = [f"{role}_{number}" for number in range(1, WRITERS + 1) for role in ("customer", "agent")]
        self.listeners = [Listener(world, name, seed=seed) for name in names]

    def start(self) -> None:
        for listener in self.listeners:
            listener.start()
        until(lambda: all(listener.first is not None for listener in self.listeners), what="the listeners listen")
        for writer in self.writers:
            writer.start()
        self.wait_for_writes(5)

    @property
    def writes(self) -> list[Write]:
        return [write for writer in self.writers for write in writer.writes]

    def wait_for_writes(self, more: int) -> None:
        """Wait until every writer has written so much more."""
        goals = [(writer, len(writer.writes) + more) for writer in self.writers]
        until(lambda: all(len(writer.writes) >= goal for writer, goal in goals), what="the writers write")

    def stop_writing(self) -> None:
        for writer in self.writers:
            if writer.is_alive():
                writer.end()

    def settle(self, *, seconds: float = PATIENCE_SECONDS) -> None:
        """Stop writing, wait until everybody has been told and mailed everything, and stop listening.

        A backlog takes as long as it does: AssertionError when nothing more of it is delivered for so many seconds.
        """
        self.stop_writing()
        while any(owed := self.owed()):
            until(partial(self.owes_less_than, owed), seconds=seconds, what="more is delivered")
        self.end()

    def owed(self) -> tuple[int, int, int]:
        """Return how many events are to be announced, e-mails to be sent, and listeners to be told."""
        events, mails = self.world.owed()
        if events or mails:
            return events, mails, len(self.listeners)
        heads = dict(self.world.sql(HEADS))
        return 0, 0, sum(listener.last != heads.get(listener.username, 0) for listener in self.listeners)

    def owes_less_than(self, owed: tuple[int, int, int]) -> bool:
        return self.owed() < owed

    def end(self) -> None:
        self.stop_writing()
        for listener in self.listeners:
            if listener.is_alive():
                listener.end()


@contextmanager
def flowing(world: Site, *, seed: int, repeats: bool = False) -> Iterator[Flow]:
    """Have traffic; the threads end with the block also when it fails."""
    flow = Flow(world, seed=seed, repeats=repeats)
    flow.start()
    try:
        yield flow
    finally:
        flow.end()
