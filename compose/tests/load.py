"""Clients that read and write without a pause, while a test stops and starts what answers them."""

import threading
from collections import Counter
from contextlib import contextmanager

import httpx

from helpdesk.testing import wait_until

CLIENTS = 4
REQUESTS_MEANWHILE = 40


class Load(threading.Thread):
    """A client that reads and writes without a pause, and notes every answer."""

    def __init__(self, stack, username, ticket):
        super().__init__(daemon=True)
        self.client = stack.client(username)
        self.ticket = ticket
        self.answers = Counter()
        self.stopped = threading.Event()

    def run(self):
        while not self.stopped.is_set():
            self.note("GET", "/tickets/")
            self.note("POST", "/comments/", json={"ticket": self.ticket, "content": "Hello"})
            self.note("PATCH", f"/tickets/{self.ticket}/", json={"priority": "high"})

    def note(self, method, path, **options):
        try:
            self.answers[self.client.request(method, path, **options).status_code] += 1
        except httpx.TransportError as error:
            self.answers[repr(error)] += 1

    def stop(self):
        self.stopped.set()
        self.join()
        self.client.close()


def new_ticket(stack):
    with stack.client("customer_1") as customer:
        return customer.post("/tickets/", json={"title": "Stop", "description": "D"}).raise_for_status().json()["id"]


@contextmanager
def loaded(stack):
    loads = [Load(stack, "agent_1", new_ticket(stack)) for _ in range(CLIENTS)]
    for load in loads:
        load.start()
    try:
        yield loads
    finally:
        for load in loads:
            load.stop()


def answered(loads):
    return sum((load.answers for load in loads), Counter())


def wait_for_answers(loads):
    goal = answered(loads).total() + REQUESTS_MEANWHILE
    wait_until(lambda: answered(loads).total() >= goal, what="requests are answered")
