"""Clients that read and write without a pause, while a test stops and starts what answers them."""

import threading
from collections import Counter
from contextlib import contextmanager

import httpx

from faults.program import until

CLIENTS = 4
REQUESTS_MEANWHILE = 40


class Load(threading.Thread):
    """A client that reads and writes without a pause, and notes every answer."""

    def __init__(self, world, username, ticket):
        super().__init__(daemon=True)
        self.client = world.client(username)
        self.ticket = ticket
        self.answers = Counter()
        self.ended = threading.Event()

    def run(self):
        while not self.ended.is_set():
            self.note("GET", "/tickets/")
            self.note("POST", "/comments/", json={"ticket": self.ticket, "content": "Hello"})
            self.note("PATCH", f"/tickets/{self.ticket}/", json={"priority": "high"})

    def note(self, method, path, **options):
        try:
            self.answers[self.client.request(method, path, **options).status_code] += 1
        except httpx.TransportError as error:
            self.answers[repr(error)] += 1

    def end(self):
        self.ended.set()
        self.join()
        self.client.close()


def new_ticket(world):
    with world.client("customer_1") as customer:
        return customer.post("/tickets/", json={"title": "Stop", "description": "D"}).raise_for_status().json()["id"]


@contextmanager
def loaded(world):
    loads = [Load(world, "agent_1", new_ticket(world)) for _ in range(CLIENTS)]
    for load in loads:
        load.start()
    try:
        yield loads
    finally:
        for load in loads:
            load.end()


def answered(loads):
    return sum((load.answers for load in loads), Counter())


def wait_for_answers(loads):
    goal = answered(loads).total() + REQUESTS_MEANWHILE
    until(lambda: answered(loads).total() >= goal, what="requests are answered")
