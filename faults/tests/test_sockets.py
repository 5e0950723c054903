"""F12, F13, F14: very many events, very few, and clients whose connection breaks."""

import time

from faults.flow import flowing
from faults.listeners import Listener
from faults.program import until

from .conftest import SECONDS, SEED, check

EVENTS = 2_000
LONGEST_SECONDS = 5
CUTS_A_SECOND = 10
TELL_MANY = f"""
from django.db import transaction
from django.utils import timezone
from helpdesk.tickets import actions
from helpdesk.tickets.models import Comment, EventKind, EventSource
from helpdesk.users.models import User

agent = User.objects.get(username="agent_1")
origin = actions.Origin(agent, EventSource.COMMAND)
customer = User.objects.get(username="customer_3")
ticket = actions.create_ticket(actions.Origin(customer, EventSource.COMMAND), title="Many", description="D")
with transaction.atomic():
    now = timezone.now()
    comments = Comment.objects.bulk_create(
        Comment(ticket=ticket, author=agent, content="Hello", created_at=now) for _ in range({EVENTS})
    )
    added = (actions.event(origin, ticket, EventKind.COMMENT_ADDED, comment=comment, at=now) for comment in comments)
    actions.record(ticket, *added)
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
