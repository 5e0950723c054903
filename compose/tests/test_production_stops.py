"""F8 in production: a process that is asked to stop ends what it does, and web servers are replaced without a failure."""

import os
import signal
import threading
from collections import Counter
from contextlib import contextmanager

import httpx
import psycopg

from faults.flow import flowing
from faults.history import History
from faults.program import until

SEED = 1
DELIVERED_SECONDS = 60
CLIENTS = 4
REQUESTS_MEANWHILE = 40
IS_WAITING = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%%tickets_ticket%%'"


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


def test_web_servers_are_replaced_under_load_without_a_failed_request(production):
    with loaded(production) as loads:
        for web in production.webs:
            wait_for_answers(loads)
            web.stop()
            wait_for_answers(loads)
            web.start()
        wait_for_answers(loads)

    assert set(answered(loads)) == {200, 201}, answered(loads)
    assert [web.process.returncode for web in production.webs] == [None, None]


def test_a_request_in_flight_is_answered_and_one_that_comes_meanwhile_waits_for_the_next_server(production):
    ticket = new_ticket(production)
    statuses = {}

    def ask(name, *, priority):
        with production.client("agent_1") as agent:
            statuses[name] = agent.patch(f"/tickets/{ticket}/", json={"priority": priority}).status_code

    in_flight = threading.Thread(target=ask, args=["in flight"], kwargs={"priority": "urgent"})
    with psycopg.connect(production.postgres.url) as other:
        other.execute("SELECT FROM tickets_ticket WHERE id = %s FOR UPDATE", [ticket])
        in_flight.start()
        until(lambda: production.sql(IS_WAITING, rows=False), what="the request waits for the row")
        for web in production.webs:
            os.kill(web.pid, signal.SIGTERM)
        until(lambda: all("Stopping worker" in web.said() for web in production.webs), what="they stop")
        meanwhile = threading.Thread(target=ask, args=["meanwhile"], kwargs={"priority": "low"})
        meanwhile.start()
    in_flight.join()
    for web in production.webs:
        web.wait()
    codes = [web.process.returncode for web in production.webs]
    for web in production.webs:
        web.start()
    meanwhile.join()

    assert (statuses, codes) == ({"in flight": 200, "meanwhile": 200}, [0, 0])


def test_f8_what_each_process_had_begun_is_done_and_sockets_resume(production):
    codes = {}
    with flowing(production, seed=SEED, repeats=True) as flow:
        for program in production.products:
            program.stop()
            codes[program.name] = program.process.returncode
            program.start()
            flow.wait_for_writes(3)

        flow.settle(seconds=DELIVERED_SECONDS)
        History(flow).check()

    assert set(codes.values()) == {0}, codes


def test_a_worker_sends_the_mail_that_it_has_begun(production):
    before = len(production.mails("received"))
    production.script_mail({"holds": True})
    new_ticket(production)
    until(lambda: len(production.mails("received")) > before, what="a mail is under way")

    os.kill(production.worker.pid, signal.SIGTERM)
    until(lambda: "Warm shutdown" in production.worker.said(), what="the worker stops")
    production.script_mail({})
    production.worker.wait()
    code = production.worker.process.returncode
    production.worker.start()
    until(production.is_settled, seconds=DELIVERED_SECONDS, what="everything is sent")

    ids = [mail["id"] for mail in production.mails("accepted")]
    assert code == 0
    assert len(ids) == len(set(ids))
