"""Makes tickets with all that belongs to them, some thousand rows at a time."""

import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from helpdesk.core.json import dumps
from helpdesk.tickets.demo import rows
from helpdesk.tickets.demo.arrivals import arrivals
from helpdesk.tickets.demo.dice import Dice
from helpdesk.tickets.demo.moments import DAY, HOUR, Moment
from helpdesk.tickets.demo.stories import Person, Step, Story, fate_of
from helpdesk.tickets.models import EventKind, Priority, Status

HISTORY = 180 * DAY
# The newest ticket is this old, so that its conversation has had time to happen.
YOUNGEST = 2 * HOUR


class Cast(NamedTuple):
    customers: Sequence[Person]
    agents: Sequence[Person]


class Batch(NamedTuple):
    """Rows for COPY: documents in its text format, the others in the binary one."""

    tickets: bytes
    comments: bytes
    events: bytes
    documents: bytes
    words: set[str]
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
        start = now - HISTORY
        # Times have dice of their own: what happens does not depend on the hours of the present week.
        self.openings = arrivals(Dice(seed + 1), count=tickets, start=start, end=now - YOUNGEST)

    def make(self, ticket_ids: Sequence[int], comment_ids: Sequence[int]) -> Batch:
        batch = BatchInTheMaking(iter(comment_ids))
        for ticket_id in ticket_ids:
            story = self.next_story()
            batch.add(ticket_id, story, opened_at=next(self.openings), now=self.now)
        return batch.done()

    def next_story(self) -> Story:
        fate = fate_of(self.dice, age=1 - self.told / self.tickets)
        story = Story(self.dice, self.dice.choose(self.cast.customers), self.cast.agents)
        story.tell(fate, comments=self.comments_per_ticket)
        self.told += 1
        return story


class BatchInTheMaking:
    def __init__(self, comment_ids: Iterator[int]) -> None:
        self.comment_ids = comment_ids
        self.uuids = random_uuids()
        self.tickets = [rows.HEADER]
        self.comments = [rows.HEADER]
        self.events = [rows.HEADER]
        self.documents: list[str] = []
        self.words: set[str] = set()

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
        self.documents.append(f"{ticket_id}\t{' '.join(story.words)}\n")

    def add_creation(self, ticket_id: int, story: Story, at: Moment) -> None:
        self.events.append(
            rows.event_row(
                next(self.uuids),
                ticket_id=ticket_id,
                actor=story.customer.id,
                kind=EventKind.TICKET_CREATED,
                old=None,
                new=first_values(story.title, story.first_priority),
                at=at,
            )
        )

    def add_changes(self, ticket_id: int, step: Step, at: Moment) -> None:
        for change in step.changes:
            self.events.append(
                rows.event_row(
                    next(self.uuids),
                    ticket_id=ticket_id,
                    actor=step.actor.id,
                    kind=change.kind,
                    old=change.old,
                    new=change.new,
                    at=at,
                )
            )

    def add_comment(self, ticket_id: int, author: int, content: str, at: Moment) -> None:
        comment_id = next(self.comment_ids)
        self.comments.append(
            rows.comment_row(comment_id, ticket_id=ticket_id, author=author, content=content, created_at=at)
        )
        self.events.append(
            rows.comment_event_row(next(self.uuids), ticket_id=ticket_id, actor=author, comment_id=comment_id, at=at)
        )

    def done(self) -> Batch:
        for binary_rows in (self.tickets, self.comments, self.events):
            binary_rows.append(rows.TRAILER)
        return Batch(
            tickets=b"".join(self.tickets),
            comments=b"".join(self.comments),
            events=b"".join(self.events),
            documents="".join(self.documents).encode(),
            words={word for words in self.words for word in words.split()},
            counts={
                "tickets": len(self.tickets) - 2,
                "comments": len(self.comments) - 2,
                "events": len(self.events) - 2,
            },
        )


def dated(steps: Sequence[Step], opened_at: Moment, now: Moment) -> Iterator[tuple[Moment, Step]]:
    """Yield each step with its time, all of them closer together where they would not end before the present."""
    total = sum(step.wait for step in steps)
    pace = min(1.0, (now - opened_at) / total) if total else 1.0
    passed = 0
    for step in steps:
        passed += step.wait
        yield opened_at + int(passed * pace), step


def first_values(title: str, priority: Priority) -> bytes:
    return dumps({"title": title, "status": Status.OPEN.value, "priority": priority.name.lower()})


def random_uuids() -> Iterator[bytes]:
    """Yield UUIDs of version 4, many from one call to the system; never seeded, since clients tell events by them."""
    while True:
        chance = os.urandom(16 * 1024)
        for start in range(0, len(chance), 16):
            uuid = bytearray(chance[start : start + 16])
            uuid[6] = uuid[6] & 0x0F | 0x40
            uuid[8] = uuid[8] & 0x3F | 0x80
            yield bytes(uuid)
