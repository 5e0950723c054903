"""F12, F13, F14, F24: very many events, very few, and clients whose connection breaks or closes."""

import threading
import time
from contextlib import contextmanager, suppress

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from faults.flow import HEADS, flowing
from faults.listeners import Listener
from faults.program import until

from .conftest import SECONDS, SEED, check

EVENTS = 2_000
LONGEST_SECONDS = 5
CUTS_A_SECOND = 10
AT_ONCE_SECONDS = 1
FAN_OUTS = max(30, round(10 * SECONDS))
EVENTS_AT_ONCE = 20
LEAVERS = 4
"""Clients of each user that close: with those that are still closing, they stay below the ten that a user may have."""
ANNOUNCED = "SELECT uuid::text, extract(epoch FROM announced_at)::float FROM tickets_ticketevent"
TELL = """
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

def tell(count):
    with transaction.atomic():
        now = timezone.now()
        comments = Comment.objects.bulk_create(
            Comment(ticket=ticket, author=agent, content="Hello", created_at=now) for _ in range(count)
        )
        added = (actions.event(origin, ticket, EventKind.COMMENT_ADDED, comment=c, at=now) for c in comments)
        actions.record(ticket, *added)
"""
TELL_MANY = f"{TELL}\ntell({EVENTS})"
TELL_FEW_OFTEN = f"""{TELL}
assignee = User.objects.get(username="agent_2")
actions.update_ticket(origin, ticket.pk, changes={{"assigned_to": assignee}})
for _ in range({FAN_OUTS}):
    tell({EVENTS_AT_ONCE})
    time.sleep(0.4)
"""


class Listening:
    """Clients of one user, who wants no e-mails of comments meanwhile; they end with the block."""

    def __init__(self, world, username, *, count):
        self.world, self.username = world, username
        self.listeners = [Listener(world, username, seed=SEED + number) for number in range(count)]

    def want_emails(self, *, wanted):
        with self.world.client(self.username) as client:
            client.patch("/preferences/", json={"comment_added": {"email": wanted}}).raise_for_status()

    def __enter__(self):
        self.want_emails(wanted=False)
        for listener in self.listeners:
            listener.start()
        until(lambda: all(listener.first is not None for listener in self.listeners), what="the clients listen")
        return self.listeners

    def __exit__(self, *_):
        for listener in self.listeners:
            listener.may_read.set()
            listener.end()
        self.want_emails(wanted=True)


def applied_from_the_first_on(listener):
    numbers = [event.seq for event in listener.applied]
    return numbers == list(range(listener.first, listener.first + len(numbers)))


def test_f12_2000_events_at_once_reach_everybody_although_one_does_not_read(world):
    with Listening(world, "customer_3", count=4) as listeners:
        stalled, *healthy = listeners
        stalled.may_read.clear()

        world.django(TELL_MANY)
        committed_at = time.time()
        until(lambda: all(len(listener.applied) == EVENTS for listener in healthy), what="the others are told")
        took = max(listener.applied[-1].at for listener in healthy) - committed_at
        stalled.may_read.set()
        until(lambda: len(stalled.applied) == EVENTS, what="the stalled one is told")

        assert all(applied_from_the_first_on(listener) for listener in listeners)
    assert took < LONGEST_SECONDS


def test_f13_a_socket_that_was_idle_hears_the_next_event(world):
    with world.client("customer_4") as customer, world.client("agent_1") as agent:
        ticket = customer.post("/tickets/", json={"title": "Idle", "description": "D"}).json()
        until(world.is_settled)
        with Listening(world, "customer_4", count=1) as (listener,):
            time.sleep(3 * SECONDS)
            agent.post("/comments/", json={"ticket": ticket["id"], "content": "Hello"}).raise_for_status()
            until(lambda: listener.applied, seconds=LONGEST_SECONDS, what="it hears")

            assert listener.closings == []


def test_f14_clients_that_are_cut_at_random_apply_each_event_once(world, dice):
    with flowing(world, seed=SEED) as flow:
        for _ in range(round(CUTS_A_SECOND * SECONDS)):
            dice.choice(flow.listeners).cut()
            time.sleep(dice.uniform(0, 2 / CUTS_A_SECOND))

        check(flow)


class Leaver(threading.Thread):
    """A client that sends a Close frame at its first event, which is in the midst of others, and connects again."""

    def __init__(self, world, username):
        super().__init__(daemon=True)
        self.url = f"ws{world.site.removeprefix('http')}/ws/notifications/?token={world.token(username)}"
        self.closed = 0
        self.ended = threading.Event()

    def run(self):
        while not self.ended.is_set():
            with (
                suppress(WebSocketException, TimeoutError),
                connect(self.url, proxy=None, compression=None, close_timeout=AT_ONCE_SECONDS) as socket,
            ):
                socket.recv(AT_ONCE_SECONDS)
                self.closed += 1

    def end(self):
        self.ended.set()
        self.join()


@contextmanager
def leaving(world, usernames):
    leavers = [Leaver(world, username) for username in usernames for _ in range(LEAVERS)]
    for leaver in leavers:
        leaver.start()
    try:
        yield leavers
    finally:
        for leaver in leavers:
            leaver.end()


def longest_latency_seconds(world, listeners):
    """Return the longest time from an event's announcement until a client has applied it."""
    announced_at = dict(world.sql(ANNOUNCED))
    return max(event.at - announced_at[event.id] for listener in listeners for event in listener.applied)


def test_f24_connections_that_close_in_the_midst_of_a_fan_out_delay_no_other(world):
    usernames = ["customer_3", "agent_2"]
    with Listening(world, usernames[0], count=1) as of_customer, Listening(world, usernames[1], count=1) as of_agent:
        listeners = of_customer + of_agent
        with leaving(world, usernames) as leavers:
            world.django(TELL_FEW_OFTEN)
        heads = dict(world.sql(HEADS))
        until(lambda: all(one.last == heads[one.username] for one in listeners), what="the others are told")

        assert longest_latency_seconds(world, listeners) < AT_ONCE_SECONDS
        assert sum(leaver.closed for leaver in leavers) >= 3 * FAN_OUTS
        assert all(len(listener.applied) >= FAN_OUTS * EVENTS_AT_ONCE for listener in listeners)
        assert all(applied_from_the_first_on(listener) for listener in listeners)
        assert [listener.closings for listener in listeners] == [[], []]
