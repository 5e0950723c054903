"""People who open tickets, comment and resolve over HTTP, and note what they were answered."""

import random
import threading
import time
from dataclasses import dataclass
from typing import Any

import httpx

from faults.site import Site

PAUSE_SECONDS = 0.1
REPEAT_SECONDS = 0.1
STATUSES = ("in_progress", "resolved", "closed", "open")


@dataclass(frozen=True)
class Write:
    """One request: `text` is in no other, `status` None when no answer came."""

    kind: str
    text: str
    status: int | None
    seconds: float

    @property
    def is_acknowledged(self) -> bool:
        return self.status is not None and self.status < httpx.codes.MULTIPLE_CHOICES


class Writer(threading.Thread):
    """A customer with tickets of their own, and the agent who works on them, until `end`.

    With `repeats`, a request that was not answered, or with 503, is sent again until it is.
    """

    def __init__(self, world: Site, number: int, *, seed: int, repeats: bool = False) -> None:
        super().__init__(name=f"writer-{number}", daemon=True)
        self.random = random.Random(f"{seed} {number}")
        self.number = number
        self.repeats = repeats
        self.customer = world.client(f"customer_{number}")
        self.agent = world.client(f"agent_{number}")
        self.agent_id = world.user_id(f"agent_{number}")
        self.prefix = f"{time.time_ns():x}-{number}"
        self.tickets: list[int] = []
        self.statuses: dict[int, str] = {}
        self.writes: list[Write] = []
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.wait(PAUSE_SECONDS):
            acts = (
                [self.open_ticket, self.change_status, self.comment, self.comment]
                if self.tickets
                else [self.open_ticket]
            )
            self.random.choice(acts)()

    def end(self) -> None:
        """Let the request that is under way end, and send no other."""
        self.ended.set()
        self.join()
        self.customer.close()
        self.agent.close()

    def open_ticket(self) -> None:
        title = self.text()
        ticket = self.send(self.customer, "POST", "/tickets/", "ticket", title, title=title, description="D")
        if ticket is None:
            return
        path = f"/tickets/{ticket['id']}/"
        if self.send(self.agent, "PATCH", path, "assignee", self.text(), assigned_to=self.agent_id):
            self.tickets.append(ticket["id"])
            self.statuses[ticket["id"]] = "open"

    def change_status(self) -> None:
        ticket_id = self.random.choice(self.tickets)
        status = self.random.choice([status for status in STATUSES if status != self.statuses[ticket_id]])
        if self.send(self.agent, "PATCH", f"/tickets/{ticket_id}/", "status", self.text(), status=status):
            self.statuses[ticket_id] = status

    def comment(self) -> None:
        author = self.random.choice([self.customer, self.agent])
        ticket_id, content = self.random.choice(self.tickets), self.text()
        self.send(author, "POST", "/comments/", "comment", content, ticket=ticket_id, content=content)

    def text(self) -> str:
        return f"{self.prefix}-{len(self.writes)}"

    def send(
        self, client: httpx.Client, method: str, path: str, kind: str, text: str, **body: Any
    ) -> dict[str, Any] | None:
        """Return what was written, None if it was perhaps not."""
        while True:
            began_at = time.monotonic()
            answer = asked(client, method, path, body)
            status = None if answer is None else answer.status_code
            self.writes.append(Write(kind, text, status, time.monotonic() - began_at))
            if answer is not None and answer.is_success:
                written: dict[str, Any] = answer.json()
                return written
            if not (self.repeats and status in {None, httpx.codes.SERVICE_UNAVAILABLE}):
                return None
            time.sleep(REPEAT_SECONDS)


def asked(client: httpx.Client, method: str, path: str, body: dict[str, Any]) -> httpx.Response | None:
    try:
        return client.request(method, path, json=body)
    except httpx.TransportError:
        return None
