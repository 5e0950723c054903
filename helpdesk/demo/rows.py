"""The rows of demo tickets, and how they are written: through COPY, a batch a transaction."""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from helpdesk.core.after_commit import after_commit
from helpdesk.core.cached_lists import invalidate
from helpdesk.demo.histories import TicketHistory, json, name_of
from helpdesk.demo.schedule import step_times
from helpdesk.tickets import search_index
from helpdesk.tickets.counts import fold_counts
from helpdesk.tickets.models import ALL_LISTS, EventKind, EventSource, Status

Row = tuple[Any, ...]

# PostgreSQL gives the events their UUIDs, and their ids in the order of the rows.
COLUMNS = {
    "tickets_ticket": (
        "id, title, description, status, priority, created_by_id, assigned_to_id, comments_count, last_comment_at, "
        "version, created_at, updated_at"
    ),
    "tickets_comment": "id, ticket_id, author_id, content, created_at",
    "tickets_ticketevent": (
        "ticket_id, kind, actor_id, source, old, new, comment_id, created_at, announced_at, request_id"
    ),
    "tickets_searchdocument": "ticket_id, words",
}
RESERVE_IDS = """
    SELECT nextval(sequence)
    FROM CAST(pg_get_serial_sequence(%s, 'id') AS regclass) AS sequence, generate_series(1, %s)
"""
TABLES = ", ".join([*COLUMNS, "tickets_searchword"])


class Batch:
    """The rows of some tickets, each table's in the order of COLUMNS, and their search words."""

    def __init__(self, *, tickets: int, comments: int, now: datetime) -> None:
        self.ticket_ids = iter(reserve_ids("tickets_ticket", count=tickets))
        self.comment_ids = iter(reserve_ids("tickets_comment", count=comments))
        self.now = now
        self.announced_at = str(now)
        self.tickets: list[Row] = []
        self.comments: list[Row] = []
        self.documents: list[Row] = []
        self.words: set[str] = set()
        self.counts = Counter[str]()

    @transaction.atomic
    def write(self, histories: Iterable[tuple[datetime, TicketHistory]], *, known_words: set[str]) -> None:
        """Write tickets that were opened at these times, all of them or none, and invalidate the cached lists."""
        # The database stores the first events while the histories of the next tickets are generated.
        events = (event for opened_at, history in histories for event in self.add(history, opened_at=opened_at))
        self.counts["events"] = copy("tickets_ticketevent", events)
        self.counts["tickets"] = copy("tickets_ticket", self.tickets)
        self.counts["comments"] = copy("tickets_comment", self.comments)
        self.counts["documents"] = copy("tickets_searchdocument", self.documents)
        search_index.insert_words(self.words - known_words)
        after_commit(invalidate, ALL_LISTS)

    def add(self, history: TicketHistory, *, opened_at: datetime) -> Iterator[Row]:
        """Add a ticket with its comments and search words; yield its events."""
        ticket_id, creator_id = next(self.ticket_ids), history.customer.id
        first_values = {"title": history.title, "status": Status.OPEN, "priority": name_of(history.first_priority)}
        yield self.event(ticket_id, EventKind.TICKET_CREATED, creator_id, str(opened_at), new=json(first_values))
        times = step_times((step.wait for step in history.steps), start=opened_at, now=self.now)
        comments, last_comment_at = 0, None
        # Each time is formatted once, although several rows have it.
        for at, step in zip(map(str, times), history.steps, strict=True):
            for change in step.changes:
                yield self.event(ticket_id, change.kind, step.actor.id, at, old=change.old, new=change.new)
            if step.comment is not None:
                comment_id, comments, last_comment_at = next(self.comment_ids), comments + 1, at
                self.comments.append((comment_id, ticket_id, step.actor.id, step.comment, at))
                yield self.event(ticket_id, EventKind.COMMENT_ADDED, step.actor.id, at, comment_id=comment_id)
        self.tickets.append(
            (
                *(ticket_id, history.title, history.description, history.status, history.priority, creator_id),
                *(history.assignee and history.assignee.id, comments, last_comment_at),
                *(1 + len(history.steps), opened_at, times[-1] if times else opened_at),
            )
        )
        # Words have neither quotes nor backslashes.
        self.documents.append((ticket_id, "'{}'".format("' '".join(history.words))))
        self.words |= history.words

    def event(
        self,
        ticket_id: int,
        kind: EventKind,
        actor_id: int,
        at: str,
        *,
        old: str | None = None,
        new: str | None = None,
        comment_id: int | None = None,
    ) -> Row:
        """Return an event that is marked as announced: nobody is notified."""
        return (
            ticket_id,
            kind,
            actor_id,
            EventSource.COMMAND,
            old,
            new,
            comment_id,
            at,
            self.announced_at,
            "",
        )


def reserve_ids(table: str, *, count: int) -> list[int]:
    """Return ids from the sequence of a table, in ascending order; those that others take meanwhile are missing."""
    with connection.cursor() as cursor:
        cursor.execute(RESERVE_IDS, [table, count])
        return [row_id for (row_id,) in cursor.fetchall()]


def copy(table: str, rows: Iterable[Row]) -> int:
    """Write the rows; return how many there are."""
    with connection.cursor() as cursor:
        with cursor.copy(f"COPY {table} ({COLUMNS[table]}) FROM STDIN") as stream:
            for row in rows:
                stream.write_row(row)
        return int(cursor.rowcount)


@transaction.atomic
def delete_all_tickets() -> None:
    """Delete all tickets with their comments, events and search words, and all that refers to them."""
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {TABLES} CASCADE")
    after_commit(invalidate, ALL_LISTS)


def update_statistics() -> None:
    """Let the planner know how many rows there are now, and lists read few rows that count them."""
    fold_counts()
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {TABLES}, users_user")
