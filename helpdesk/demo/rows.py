"""The rows of demo tickets, and how they are written: through COPY, a batch a transaction."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import uuid4

from django.db import connection, transaction

from helpdesk.core.after_commit import after_commit
from helpdesk.core.cached_lists import invalidate
from helpdesk.demo.histories import TicketHistory, json, name_of
from helpdesk.demo.schedule import step_times
from helpdesk.tickets import search_index
from helpdesk.tickets.models import ALL_LISTS, EventKind, EventSource, Status

# The ids of events come from their sequence, in the order of the rows.
COLUMNS = {
    "tickets_ticket": (
        "id, title, description, status, priority, created_by_id, assigned_to_id, comments_count, last_comment_at, "
        "version, created_at, updated_at"
    ),
    "tickets_comment": "id, ticket_id, author_id, content, created_at",
    "tickets_ticketevent": (
        "uuid, ticket_id, kind, actor_id, source, old, new, comment_id, created_at, announced_at, request_id"
    ),
    "tickets_searchdocument": "ticket_id, words",
}
TABLES = ", ".join([*COLUMNS, "tickets_searchword"])


class Batch:
    """The rows of some tickets, each table's in the order of COLUMNS, and their search words."""

    def __init__(self, *, tickets: int, comments: int, now: datetime) -> None:
        self.ticket_ids = iter(reserve_ids("tickets_ticket", count=tickets))
        self.comment_ids = iter(reserve_ids("tickets_comment", count=comments))
        self.now = now
        self.tickets: list[tuple[Any, ...]] = []
        self.comments: list[tuple[Any, ...]] = []
        self.events: list[tuple[Any, ...]] = []
        self.documents: list[tuple[Any, ...]] = []
        self.words: set[str] = set()

    def add(self, history: TicketHistory, *, opened_at: datetime) -> None:
        """Add a ticket with all that belongs to it."""
        ticket_id, creator_id = next(self.ticket_ids), history.customer.id
        first_values = {"title": history.title, "status": Status.OPEN, "priority": name_of(history.first_priority)}
        self.add_event(ticket_id, EventKind.TICKET_CREATED, creator_id, opened_at, new=json(first_values))
        times = step_times((step.wait for step in history.steps), start=opened_at, now=self.now)
        comments, last_comment_at = 0, None
        for at, step in zip(times, history.steps, strict=True):
            for change in step.changes:
                self.add_event(ticket_id, change.kind, step.actor.id, at, old=change.old, new=change.new)
            if step.comment is not None:
                comment_id, comments, last_comment_at = next(self.comment_ids), comments + 1, at
                self.comments.append((comment_id, ticket_id, step.actor.id, step.comment, at))
                self.add_event(ticket_id, EventKind.COMMENT_ADDED, step.actor.id, at, comment_id=comment_id)
        self.tickets.append(
            (
                *(ticket_id, history.title, history.description, history.status, history.priority, creator_id),
                *(history.assignee and history.assignee.id, comments, last_comment_at),
                *(1 + len(history.steps), opened_at, times[-1] if times else opened_at),
            )
        )
        # Words have neither quotes nor backslashes.
        self.documents.append((ticket_id, " ".join(f"'{word}'" for word in history.words)))
        self.words |= history.words

    def add_event(
        self,
        ticket_id: int,
        kind: EventKind,
        actor_id: int,
        at: datetime,
        *,
        old: str | None = None,
        new: str | None = None,
        comment_id: int | None = None,
    ) -> None:
        """Add an event that counts as announced: nobody is notified."""
        source = EventSource.COMMAND
        self.events.append((uuid4(), ticket_id, kind, actor_id, source, old, new, comment_id, at, at, ""))

    @transaction.atomic
    def write(self, *, known_words: set[str]) -> None:
        """Write all rows or none, and invalidate the cached lists."""
        for table, rows in zip(COLUMNS, (self.tickets, self.comments, self.events, self.documents), strict=True):
            copy(table, rows)
        search_index.insert_words(self.words - known_words)
        after_commit(invalidate, ALL_LISTS)


def reserve_ids(table: str, *, count: int) -> list[int]:
    """Return ids from the sequence of a table, in ascending order; those that others take meanwhile are missing."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval(pg_get_serial_sequence(%s, 'id')) FROM generate_series(1, %s)", [table, count])
        return [row_id for (row_id,) in cursor.fetchall()]


def copy(table: str, rows: Iterable[tuple[Any, ...]]) -> None:
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} ({COLUMNS[table]}) FROM STDIN") as stream:
        for row in rows:
            stream.write_row(row)


@transaction.atomic
def delete_all_tickets() -> None:
    """Delete all tickets with their comments, events and search words, and all that refers to them."""
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {TABLES} CASCADE")
    after_commit(invalidate, ALL_LISTS)


def vacuum() -> None:
    """Update the planner's statistics and merge the pending entries of the search index; not in a transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute(f"VACUUM (ANALYZE) {TABLES}, users_user")
        cursor.execute("RESET statement_timeout")
