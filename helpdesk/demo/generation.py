"""Generates demo tickets batch by batch, so that their number does not matter to memory."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import islice
from random import Random

from django.utils import timezone

from helpdesk.demo.histories import Participant, Participants, TicketHistory, json, present_status
from helpdesk.demo.rows import Batch
from helpdesk.demo.schedule import opening_times
from helpdesk.demo.texts import text_with_words, texts_in
from helpdesk.demo.users import get_or_create_users, language_of
from helpdesk.tickets.actions import ledger_value
from helpdesk.users.models import Language, Role

ROWS_PER_BATCH = 6000
PERIOD = timedelta(days=180)
# So that the newest ticket's conversation has had time to happen.
MINIMUM_AGE = timedelta(hours=2)


def get_or_create_participants(*, customers: int, agents: int, languages: Sequence[Language]) -> Participants:
    return Participants(
        customers=participants_of(Role.CUSTOMER, count=customers, languages=languages),
        agents=participants_of(Role.AGENT, count=agents, languages=languages),
    )


def participants_of(role: Role, *, count: int, languages: Sequence[Language]) -> list[Participant]:
    return [
        Participant(
            id=user.pk,
            recorded=json(ledger_value("assigned_to", user)),
            first_name=text_with_words(user.get_full_name().partition(" ")[0] or user.username),
            texts=texts_in(language_of(number, languages)),
        )
        for number, user in enumerate(get_or_create_users(role, count=count, languages=languages), 1)
    ]


def generate_tickets(
    participants: Participants, *, tickets: int, comments_per_ticket: int, seed: int
) -> Iterator[Batch]:
    """Write that many tickets; yield each batch after its commit.

    The seed determines everything but ids, times and the UUIDs of events.
    """
    now = timezone.now()
    # Times have a generator of their own: nothing else depends on the hours of the present week.
    times = opening_times(Random(seed + 1), count=tickets, start=now - PERIOD, end=now - MINIMUM_AGE)
    histories = generate_histories(participants, tickets=tickets, comments_per_ticket=comments_per_ticket, seed=seed)
    opened = zip(times, histories, strict=True)
    size = max(1, ROWS_PER_BATCH // (1 + comments_per_ticket))
    known_words: set[str] = set()
    for first in range(0, tickets, size):
        count = min(size, tickets - first)
        batch = Batch(tickets=count, comments=count * comments_per_ticket, now=now)
        batch.write(islice(opened, count), known_words=known_words)
        known_words |= batch.words
        yield batch


def generate_histories(
    participants: Participants, *, tickets: int, comments_per_ticket: int, seed: int
) -> Iterator[TicketHistory]:
    rng = Random(seed)
    for number in range(tickets):
        status = present_status(rng, age=1 - number / tickets)
        yield TicketHistory(rng, participants, status=status, comments=comments_per_ticket)
