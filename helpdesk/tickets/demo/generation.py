"""Fills a helpdesk: while the database takes in one batch, the next one is made."""

import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from django.utils import timezone

from helpdesk.core.json import dumps
from helpdesk.tickets.actions import recorded
from helpdesk.tickets.demo.batches import Batch, Batches, Cast
from helpdesk.tickets.demo.loading import load, reserve_ids
from helpdesk.tickets.demo.moments import moment_of
from helpdesk.tickets.demo.stories import Person
from helpdesk.tickets.demo.texts import filling, texts_in
from helpdesk.users.demo import demo_users, language_of
from helpdesk.users.models import Language, Role, User

# Small enough that neither memory nor the locks of a batch are felt, large enough that its commit is not.
ROWS_PER_BATCH = 6000
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
    """Write that many tickets with their comments, history and words; yields each batch after its commit."""
    batches = Batches(
        cast,
        tickets=tickets,
        comments_per_ticket=comments_per_ticket,
        seed=seed,
        now=moment_of(timezone.now()),
    )
    with quick_thread_switches(), ThreadPoolExecutor(max_workers=1) as background:
        coming: Future[Batch] | None = None
        for size in batch_sizes(tickets, size=max(1, ROWS_PER_BATCH // (1 + comments_per_ticket))):
            made, coming = coming, background.submit(batches.make, *ids_for(size, comments_per_ticket))
            if made:
                yield loaded(made.result())
        if coming:
            yield loaded(coming.result())


@contextmanager
def quick_thread_switches() -> Iterator[None]:
    """Let the thread that talks to the database go on at once when it answers; by default it waits 5 ms each time."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(THREAD_SWITCH_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)


def loaded(batch: Batch) -> Batch:
    load(batch)
    return batch


def batch_sizes(total: int, *, size: int) -> Iterator[int]:
    while total > 0:
        yield min(size, total)
        total -= size


def ids_for(tickets: int, comments_per_ticket: int) -> tuple[list[int], list[int]]:
    return (
        reserve_ids("tickets_ticket", count=tickets),
        reserve_ids("tickets_comment", count=tickets * comments_per_ticket),
    )
