"""Makes tickets with all that belongs to them, some thousand rows at a time."""

import os
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from helpdesk.core.json import dumps
from helpdesk.demo import rows
from helpdesk.demo.arrivals import arrivals
from helpdesk.demo.dice import Dice
from helpdesk.demo.moments import DAY, HOUR, Moment, by_day
from helpdesk.demo.rows import Lexemes
from helpdesk.demo.stories import Person, Step, Story, fate_of
from helpdesk.tickets.models import Priority, Status

HISTORY = 180 * DAY
# The newest ticket is this old, so that its conversation has had time to happen.
YOUNGEST = 2 * HOUR

UUIDS_AT_ONCE = 1024
UUID_CHANCE = int("ffffffff ffff 0fff 3fff ffffffffffff".replace(" ", "") * UUIDS_AT_ONCE, 16)
UUID_VERSION = int("00000000 0000 4000 8000 000000000000".replace(" ", "") * UUIDS_AT_ONCE, 16)


class Cast(NamedTuple):
    customers: Sequence[Person]
    agents: Sequence[Person]


class Batch(NamedTuple):
    """What COPY takes in, with the words that no earlier batch had and the users that it refers to."""

    tickets: bytes
    comments: bytes
    events: bytes
    documents: bytes
    words: set[str]
    people: set[int]
    counts: dict[str, int]


class Batches:
    """The tickets of one run, which a seed determines but for their ids, times and UUIDs."""

    def __init__(self, cast: Cast, *, tickets: int, comments_per_ticket: int, seed: int, now: Moment) -> None:
        self.cast = cast
        self.tickets = tickets
        self.comments_per_ticket = comments_per_ticket
        self.now = now
        self.dice = Dice(seed)
        self.told = 0
        self.known_words: set[Lexemes] = set()
        start = now - HISTORY
        # Times have dice of their own: what happens does not depend on the hours of the present week.
        self.openings = arrivals(Dice(seed + 1), count=tickets, start=start, end=now - YOUNGEST)

    def make(self, ticket_ids: Sequence[int], comment_ids: Sequence[int]) -> Batch:
        batch = BatchInTheMaking(iter(comment_ids), people={agent.id for agent in self.cast.agents})
        for ticket_id in ticket_ids:
            story = self.next_story()
            batch.add(ticket_id, story, opened_at=next(self.openings), now=self.now)
        words = batch.words - self.known_words
        self.known_words |= words
        return batch.done(words)

    def next_story(self) -> Story:
        fate = fate_of(self.dice, age=1 - self.told / self.tickets)
        story = Story(self.dice, self.dice.choose(self.cast.customers), self.cast.agents)
        story.tell(fate, comments=self.comments_per_ticket)
        self.told += 1
        return story


class BatchInTheMaking:
    def __init__(self, comment_ids: Iterator[int], people: set[int]) -> None:
        self.comment_ids = comment_ids
        self.uuids = random_uuids()
        self.tickets = [rows.HEADER]
        self.comments = [rows.HEADER]
        self.events = [rows.HEADER]
        self.documents = [rows.HEADER]
        self.words: set[Lexemes] = set()
        self.people = people

    def add(self, ticket_id: int, story: Story, *, opened_at: Moment, now: Moment) -> None:
        self.add_creation(ticket_id, story, opened_at)
        at, last_comment_at, comments = opened_at, None, 0
        for at, step in dated(story.steps, opened_at, now):
            if step.said is None:
                self.add_changes(ticket_id, step, at)
            else:
                self.add_comment(ticket_id, step.actor.id, step.said, at)
                last_comment_at, comments = at, comments + 1
        self.tickets.append(
            rows.ticket_row(
                ticket_id,
                title=story.title,
                description=story.description,
                status=story.status,
                priority=story.priority,
                created_by=story.customer.id,
                assigned_to=story.assignee and story.assignee.id,
                comments=comments,
                last_comment_at=last_comment_at,
                version=1 + len(story.steps),
                created_at=opened_at,
                updated_at=at,
            )
        )
        self.words.update(story.words)
        self.documents.append(rows.document_row(ticket_id, story.words))

    def add_creation(self, ticket_id: int, story: Story, at: Moment) -> None:
        actor = story.customer.id
        self.people.add(actor)
        creation = rows.creation(first_values(story.title, story.first_priority))
        self.events.append(rows.event_row(next(self.uuids), ticket_id, actor, creation, at))

    def add_changes(self, ticket_id: int, step: Step, at: Moment) -> None:
        for change in step.changes:
            self.events.append(rows.event_row(next(self.uuids), ticket_id, step.actor.id, rows.change(*change), at))

    def add_comment(self, ticket_id: int, author: int, content: str, at: Moment) -> None:
        comment_id = next(self.comment_ids)
        self.comments.append(rows.comment_row(comment_id, ticket_id, author, content, at))
        self.events.append(rows.comment_event_row(next(self.uuids), ticket_id, author, comment_id, at))

    def done(self, new_words: set[Lexemes]) -> Batch:
        tables = {
            "tickets": self.tickets,
            "comments": self.comments,
            "events": self.events,
            "documents": self.documents,
        }
        return Batch(
            **{name: b"".join([*rows_of_table, rows.TRAILER]) for name, rows_of_table in tables.items()},
            words={rows.word_of(lexeme) for lexemes in new_words for lexeme in lexemes},
            people=self.people,
            counts={name: len(rows_of_table) - 1 for name, rows_of_table in tables.items()},
        )


def dated(steps: Sequence[Step], opened_at: Moment, now: Moment) -> Iterator[tuple[Moment, Step]]:
    """Yield each step with its time: by day, unless they have to be closer together in order to end by now."""
    times = list(accumulate((step.wait for step in steps), by_day, initial=opened_at))
    if times[-1] > now:
        total = sum(step.wait for step in steps)
        times = [opened_at + (now - opened_at) * passed // total for passed in accumulate(step.wait for step in steps)]
    else:
        del times[0]
    return zip(times, steps, strict=True)


def first_values(title: str, priority: Priority) -> bytes:
    return dumps({"title": title, "status": Status.OPEN.value, "priority": priority.name.lower()})


def random_uuids() -> Iterator[bytes]:
    """Yield UUIDs of version 4, many from one call to the system; never seeded, since clients tell events by them."""
    while True:
        chance = int.from_bytes(os.urandom(16 * UUIDS_AT_ONCE))
        uuids = (chance & UUID_CHANCE | UUID_VERSION).to_bytes(16 * UUIDS_AT_ONCE)
        for start in range(0, len(uuids), 16):
            yield uuids[start : start + 16]
