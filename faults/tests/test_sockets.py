"""F12, F13, F14, F24: very many events, very few, and clients whose connections break or close."""

import threading
import time
from contextlib import contextmanager, suppress

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from faults.live_clients import LiveClient
from faults.workload import LAST_SEQS, running_workload
from helpdesk.testing import wait_until

from .conftest import SECONDS, SEED, check

EVENTS = 2_000
MAXIMUM_SECONDS = 5
BREAKS_A_SECOND = 10
REACTION_SECONDS = 1
FAN_OUTS = max(30, round(3 * SECONDS))
EVENTS_AT_ONCE = 20
CLOSING_CLIENTS = 4
"""Of each user: together with connections that are still closing, they stay below the limit of ten."""
ANNOUNCED = "SELECT uuid::text, extract(epoch FROM announced_at)::float FROM tickets_ticketevent"
PREPARE = """
import time
from django.db import transaction
from django.utils import timezone
from helpdesk.tickets import actions
from helpdesk.tickets.models import Comment, EventKind, EventSource
from helpdesk.users.models import User

agent = User.objects.get(username="agent_1")
origin = actions.Origin(agent, EventSource.COMMAND)
customer = User.objects.get(username="customer_3")
ticket = actions.create_ticket(actions.Origin(customer, EventSource.COMMAND), title="Many", description="D")

def record_comments(count):
    with transaction.atomic():
        now = timezone.now()
        comments = Comment.objects.bulk_create(
            Comment(ticket=ticket, author=agent, content="Hello", created_at=now) for _ in range(count)
        )
        added = (actions.build_event(origin, ticket, EventKind.COMMENT_ADDED, comment=c, at=now) for c in comments)
        actions.record_events(ticket, *added)
"""
RECORD_MANY = f"{PREPARE}\nrecord_comments({EVENTS})"
RECORD_FEW_OFTEN = f"""{PREPARE}
assignee = User.objects.get(username="agent_2")
actions.update_ticket(origin, ticket.pk, changes={{"assigned_to": assignee}})
for _ in range({FAN_OUTS}):
    record_comments({EVENTS_AT_ONCE})
    time.sleep(0.4)
"""


@contextmanager
def connected_clients(stack, username, *, count):
    """Run clients of one user, who gets no e-mails of comments meanwhile."""
    clients = [LiveClient(stack, username, seed=SEED + number) for number in range(count)]
    set_emails(stack, username, enabled=False)
    for client in clients:
        client.start()
    try:
        wait_until(lambda: all(client.first is not None for client in clients), what="the clients are connected")
        yield clients
    finally:
        for client in clients:
            client.may_read.set()
            client.stop()
        set_emails(stack, username, enabled=True)


def set_emails(stack, username, *, enabled):
    with stack.client(username) as client:
        client.patch("/preferences/", json={"comment_added": {"email": enabled}}).raise_for_status()


def has_no_gap(client):
    numbers = [event.seq for event in client.applied]
    return numbers == list(range(client.first, client.first + len(numbers)))


def test_f12_2000_events_at_once_reach_every_client_although_one_does_not_read(stack):
    with connected_clients(stack, "customer_3", count=4) as clients:
        stalled, *healthy = clients
        stalled.may_read.clear()

        stack.run_in_shell(RECORD_MANY)
        committed_at = time.time()
        wait_until(lambda: all(len(client.applied) == EVENTS for client in healthy), what="the others have all events")
        took = max(client.applied[-1].at for client in healthy) - committed_at
        stalled.may_read.set()
        wait_until(lambda: len(stalled.applied) == EVENTS, what="the stalled client has all events")

        assert all(has_no_gap(client) for client in clients)
    assert took < MAXIMUM_SECONDS


def test_f13_a_socket_that_was_idle_gets_the_next_event(stack):
    with stack.client("customer_4") as customer, stack.client("agent_1") as agent:
        ticket = customer.post("/tickets/", json={"title": "Idle", "description": "D"}).json()
        wait_until(stack.is_idle)
        with connected_clients(stack, "customer_4", count=1) as (client,):
            time.sleep(3 * SECONDS)
            agent.post("/comments/", json={"ticket": ticket["id"], "content": "Hello"}).raise_for_status()
            wait_until(lambda: client.applied, seconds=MAXIMUM_SECONDS, what="the client has the event")

            assert client.close_codes == []


def test_f14_clients_whose_connections_break_at_random_apply_each_event_once(stack, rng):
    with running_workload(stack, seed=SEED) as workload:
        for _ in range(round(BREAKS_A_SECOND * SECONDS)):
            rng.choice(workload.clients).break_connection()
            time.sleep(rng.uniform(0, 2 / BREAKS_A_SECOND))

        check(workload)


class ClosingClient(threading.Thread):
    """A client that sends a Close frame at its first event, amid others, and connects again."""

    def __init__(self, stack, username):
        super().__init__(daemon=True)
        self.url = f"ws{stack.url.removeprefix('http')}/ws/notifications/?token={stack.token(username)}"
        self.closed = 0
        self.stopped = threading.Event()

    def run(self):
        while not self.stopped.is_set():
            with (
                suppress(WebSocketException, TimeoutError),
                connect(self.url, proxy=None, compression=None, close_timeout=REACTION_SECONDS) as socket,
            ):
                socket.recv(REACTION_SECONDS)
                self.closed += 1

    def stop(self):
        self.stopped.set()
        self.join()


@contextmanager
def closing_clients(stack, usernames):
    clients = [ClosingClient(stack, username) for username in usernames for _ in range(CLOSING_CLIENTS)]
    for client in clients:
        client.start()
    try:
        yield clients
    finally:
        for client in clients:
            client.stop()


def longest_latency_seconds(stack, clients):
    """Return the longest time from an event's announcement until a client has applied it."""
    announced_at = dict(stack.sql(ANNOUNCED))
    return max(event.at - announced_at[event.id] for client in clients for event in client.applied)


def test_f24_connections_that_close_amid_a_fan_out_delay_no_other(stack):
    usernames = ["customer_3", "agent_2"]
    with (
        connected_clients(stack, usernames[0], count=1) as of_customer,
        connected_clients(stack, usernames[1], count=1) as of_agent,
    ):
        clients = of_customer + of_agent
        with closing_clients(stack, usernames) as closing:
            stack.run_in_shell(RECORD_FEW_OFTEN)
        last_seqs = dict(stack.sql(LAST_SEQS))
        wait_until(lambda: all(client.last == last_seqs[client.username] for client in clients), what="all have all")

        assert longest_latency_seconds(stack, clients) < REACTION_SECONDS
        assert sum(client.closed for client in closing) >= 3 * FAN_OUTS
        assert all(len(client.applied) >= FAN_OUTS * EVENTS_AT_ONCE for client in clients)
        assert all(has_no_gap(client) for client in clients)
        assert [client.close_codes for client in clients] == [[], []]
