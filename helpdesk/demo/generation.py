"""Fills a helpdesk: while the database takes in some batches, the next one is made."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from django.utils import timezone

from helpdesk.core.json import dumps
from helpdesk.demo.batches import Batch, Batches, Cast
from helpdesk.demo.loading import load, reserve_ids
from helpdesk.demo.moments import moment_of
from helpdesk.demo.sessions import results, sessions
from helpdesk.demo.stories import Person
from helpdesk.demo.texts import filling, texts_in
from helpdesk.demo.users import demo_users, language_of
from helpdesk.tickets import search
from helpdesk.tickets.actions import recorded
from helpdesk.users.models import Language, Role, User

# Small enough that neither memory nor the locks of a batch are felt, large enough that its commit is not.
ROWS_PER_BATCH = 6000
BATCHES_AHEAD = 2
THREAD_SWITCH_SECONDS = 0.0005


def cast_of(*, customers: int, agents: int, languages: Sequence[Language]) -> Cast:
    """Return the demo's users as people of its stories; customer n writes in the language that n stands for."""
    return Cast(
        customers=people(demo_users(Role.CUSTOMER, count=customers, languages=languages), languages),
        agents=people(demo_users(Role.AGENT, count=agents, languages=languages), languages),
    )


def people(users: Sequence[User], languages: Sequence[Language]) -> list[Person]:
    return [
        Person(
            id=user.pk,
            recorded=dumps(recorded("assigned_to", user)),
            first_name=filling(user.get_full_name().partition(" ")[0] or user.username),
            texts=texts_in(language_of(number, languages)),
        )
        for number, user in enumerate(users, 1)
    ]


def generate(cast: Cast, *, tickets: int, comments_per_ticket: int, seed: int) -> Iterator[Batch]:
    """Write that many tickets with their comments, history and words; yields the batches after their commits."""
    batches = Batches(
        cast,
        tickets=tickets,
        comments_per_ticket=comments_per_ticket,
        seed=seed,
        now=moment_of(timezone.now()),
    )
    sizes = batch_sizes(tickets, size=max(1, ROWS_PER_BATCH // (1 + comments_per_ticket)))
    with quick_thread_switches(), sessions() as soon:
        loads = (soon(load, made_batch(batches, size)) for size in sizes)
        yield from results(loads, ahead=BATCHES_AHEAD)


def made_batch(batches: Batches, tickets: int) -> Batch:
    batch = batches.make(
        ticket_ids=reserve_ids("tickets_ticket", count=tickets),
        comment_ids=reserve_ids("tickets_comment", count=tickets * batches.comments_per_ticket),
    )
    if batch.words:
        # Beforehand, since of two batches that have a word the second one may be written first.
        search.learn_words(batch.words)
    return batch


@contextmanager
def quick_thread_switches() -> Iterator[None]:
    """Let a thread go on as soon as the database answers it; by default it waits 5 ms for the others."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(THREAD_SWITCH_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)


def batch_sizes(total: int, *, size: int) -> Iterator[int]:
    while total > 0:
        yield min(size, total)
        total -= size
