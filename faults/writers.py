"""Users who open tickets, comment and change statuses over HTTP; each request is recorded with its result."""

import random
import threading
import time
from dataclasses import dataclass
from typing import Any

import httpx

from faults.site import Site

PAUSE_SECONDS = 0.1
REPEAT_SECONDS = 0.1
RETRIED = {None, httpx.codes.SERVICE_UNAVAILABLE, httpx.codes.CONFLICT}
STATUSES = ("in_progress", "resolved", "closed", "open")


@dataclass(frozen=True)
class Write:
    """One request: `text` is unique, `status` None without a response."""

    kind: str
    text: str
    status: int | None
    seconds: float

    @property
    def is_acknowledged(self) -> bool:
        return self.status is not None and self.status < httpx.codes.MULTIPLE_CHOICES


class Writer(threading.Thread):
    """A customer with tickets of their own, and the agent who works on them, until `stop`.

    With `repeats`, a request without a response, or with one that asks to retry, is sent again until it succeeds. A POST
    has an Idempotency-Key then, because its first attempt may have been written.
    """

    def __init__(self, site: Site, number: int, *, seed: int, repeats: bool = False) -> None:
        super().__init__(name=f"writer-{number}", daemon=True)
        self.rng = random.Random(f"{seed} {number}")
        self.number = number
        self.repeats = repeats
        self.customer = site.client(f"customer_{number}")
        self.agent = site.client(f"agent_{number}")
        self.agent_id = site.user_id(f"agent_{number}")
        self.prefix = f"{time.time_ns():x}-{number}"
        self.tickets: list[int] = []
        self.statuses: dict[int, str] = {}
        self.writes: list[Write] = []
        self.stopped = threading.Event()

    def run(self) -> None:
        while not self.stopped.wait(PAUSE_SECONDS):
            choices = [self.open_ticket]
            if self.tickets:
                choices += [self.change_status, self.comment, self.comment]
            self.rng.choice(choices)()

    def stop(self) -> None:
        """Wait for the request in flight, and send no other."""
        self.stopped.set()
        self.join()
        self.customer.close()
        self.agent.close()

    def open_ticket(self) -> None:
        title = self.unique_text()
        ticket = self.send(self.customer, "POST", "/tickets/", "ticket", title, title=title, description="D")
        if ticket is None:
            return
        path = f"/tickets/{ticket['id']}/"
        if self.send(self.agent, "PATCH", path, "assignee", self.unique_text(), assigned_to=self.agent_id):
            self.tickets.append(ticket["id"])
            self.statuses[ticket["id"]] = "open"

    def change_status(self) -> None:
        ticket_id = self.rng.choice(self.tickets)
        status = self.rng.choice([status for status in STATUSES if status != self.statuses[ticket_id]])
        if self.send(self.agent, "PATCH", f"/tickets/{ticket_id}/", "status", self.unique_text(), status=status):
            self.statuses[ticket_id] = status

    def comment(self) -> None:
        author = self.rng.choice([self.customer, self.agent])
        ticket_id, content = self.rng.choice(self.tickets), self.unique_text()
        self.send(author, "POST", "/comments/", "comment", content, ticket=ticket_id, content=content)

    def unique_text(self) -> str:
        return f"{self.prefix}-{len(self.writes)}"

    def send(
        self, client: httpx.Client, method: str, path: str, kind: str, text: str, **body: Any
    ) -> dict[str, Any] | None:
        """Return the written object, None if the request was not acknowledged."""
        headers = {"Idempotency-Key": text} if self.repeats and method == "POST" else {}
        while True:
            began_at = time.monotonic()
            response = response_or_none(client, method, path, body, headers)
            status = None if response is None else response.status_code
            self.writes.append(Write(kind, text, status, time.monotonic() - began_at))
            if response is not None and response.is_success:
                written: dict[str, Any] = response.json()
                return written
            if not (self.repeats and status in RETRIED):
                return None
            time.sleep(REPEAT_SECONDS)


def response_or_none(
    client: httpx.Client, method: str, path: str, body: dict[str, Any], headers: dict[str, str]
) -> httpx.Response | None:
    try:
        return client.request(method, path, json=body, headers=headers)
    except httpx.TransportError:
        return None
