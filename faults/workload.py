"""The traffic during a fault: writers and live clients, recorded from a known event on."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from faults.live_clients import LiveClient
from faults.site import Site
from faults.writers import Write, Writer
from helpdesk.testing import wait_until

WRITERS = 2
TIMEOUT_SECONDS = float(os.environ.get("FAULT_TIMEOUT", "30"))
LAST_SEQS = "SELECT username, last_seq FROM notifications_stream JOIN users_user ON id = user_id"


class Workload:
    """Writers and live clients that run while a test causes faults."""

    def __init__(self, site: Site, *, seed: int, repeats: bool = False) -> None:
        self.site = site
        ((self.last_event_before,),) = site.sql("SELECT coalesce(max(id), 0) FROM tickets_ticketevent")
        self.mails_before = len(site.mails("accepted"))
        self.writers = [Writer(site, number, seed=seed, repeats=repeats) for number in range(1, WRITERS + 1)]
        names = [f"{role}_{number}" for number in range(1, WRITERS + 1) for role in ("customer", "agent")]
        self.clients = [LiveClient(site, name, seed=seed) for name in names]

    def start(self) -> None:
        for client in self.clients:
            client.start()
        wait_until(lambda: all(client.first is not None for client in self.clients), what="clients are connected")
        for writer in self.writers:
            writer.start()
        self.wait_for_writes(5)

    @property
    def writes(self) -> list[Write]:
        return [write for writer in self.writers for write in writer.writes]

    def wait_for_writes(self, more: int) -> None:
        """Wait until every writer has sent that many more requests."""
        goals = [(writer, len(writer.writes) + more) for writer in self.writers]
        wait_until(lambda: all(len(writer.writes) >= goal for writer, goal in goals), what="the writers write")

    def stop_writing(self) -> None:
        for writer in self.writers:
            if writer.is_alive():
                writer.stop()

    def wait_until_delivered(self, *, seconds: float = TIMEOUT_SECONDS) -> None:
        """Stop the writers, wait until every event and e-mail is delivered, and stop the clients.

        A backlog may take any time: AssertionError when nothing more of it is delivered for that many seconds.
        """
        self.stop_writing()
        while any(outstanding := self.outstanding()):
            wait_until(partial(self.has_less_than, outstanding), seconds=seconds, what="more is delivered")
        self.stop()

    def outstanding(self) -> tuple[int, int, int]:
        """Return the number of events to announce, e-mails to send, and clients that lack an event."""
        events, mails = self.site.outstanding()
        if events or mails:
            return events, mails, len(self.clients)
        last_seqs = dict(self.site.sql(LAST_SEQS))
        return 0, 0, sum(client.last != last_seqs.get(client.username, 0) for client in self.clients)

    def has_less_than(self, outstanding: tuple[int, int, int]) -> bool:
        return self.outstanding() < outstanding

    def stop(self) -> None:
        self.stop_writing()
        for client in self.clients:
            if client.is_alive():
                client.stop()


@contextmanager
def running_workload(site: Site, *, seed: int, repeats: bool = False) -> Iterator[Workload]:
    """Run a workload; its threads end with the block, also when it fails."""
    workload = Workload(site, seed=seed, repeats=repeats)
    workload.start()
    try:
        yield workload
    finally:
        workload.stop()
