"""The traffic during a fault: writers and listeners, from a noted place in the ledger on."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from faults.listeners import Listener
from faults.program import until
from faults.world import World
from faults.writers import Write, Writer

WRITERS = 2
DELIVERED_SECONDS = float(os.environ.get("FAULT_PATIENCE", "30"))
HEADS = "SELECT username, last_seq FROM notifications_stream JOIN users_user ON id = user_id"


class Flow:
    """What happens while a test breaks things; `settle` ends it."""

    def __init__(self, world: World, *, seed: int, repeats: bool = False) -> None:
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

    def settle(self, *, seconds: float = DELIVERED_SECONDS) -> None:
        """Stop writing, wait until everybody has been told and mailed everything, and stop listening."""
        self.stop_writing()
        until(self.is_delivered, seconds=seconds, what="everything is delivered")
        self.end()

    def is_delivered(self) -> bool:
        if not self.world.is_settled():
            return False
        ends = dict(self.world.sql(HEADS))
        return all(listener.last == ends.get(listener.username, 0) for listener in self.listeners)

    def end(self) -> None:
        self.stop_writing()
        for listener in self.listeners:
            if listener.is_alive():
                listener.end()


@contextmanager
def flowing(world: World, *, seed: int, repeats: bool = False) -> Iterator[Flow]:
    """Have traffic; the threads end with the block also when it fails."""
    flow = Flow(world, seed=seed, repeats=repeats)
    flow.start()
    try:
        yield flow
    finally:
        flow.end()
