"""Writes batches into the database through COPY, beside a running product."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from itertools import chain

from django.core.management import CommandError
from django.db import connection, transaction

from helpdesk.demo import rows
from helpdesk.demo.batches import Batch
from helpdesk.demo.sessions import sessions
from helpdesk.tickets.list_cache import invalidate_all_lists

TABLES = "tickets_ticket, tickets_comment, tickets_ticketevent, tickets_searchdocument, tickets_searchword"
# What one session of PostgreSQL vacuums while another one does the next.
TABLE_GROUPS = (
    "tickets_ticketevent",
    "tickets_comment, tickets_searchdocument, tickets_ticket, tickets_searchword, users_user",
)
# They end with the transaction. A crash of the server may lose the last batches, never a part of one.
SETTINGS = "SET LOCAL statement_timeout = 0; SET LOCAL synchronous_commit = off; SET CONSTRAINTS ALL IMMEDIATE"
# Ids that others draw meanwhile leave holes: what was drawn comes back as ranges without any.
RESERVE_IDS = """
    SELECT min(id), max(id)
    FROM (
        SELECT nextval(sequence) AS id, number
        FROM CAST(pg_get_serial_sequence(%(table)s, 'id') AS regclass) AS sequence, generate_series(1, %(count)s) AS number
    ) AS drawn
    GROUP BY id - number
    ORDER BY min(id)
"""
LOCK_USERS = "SELECT id FROM users_user WHERE id = ANY(%s) FOR KEY SHARE"
# Only a superuser may; for anybody else every row's keys are looked up one by one, which takes twice as long.
TRUST_KEYS = """
    SELECT set_config('session_replication_role', 'replica', true)
    WHERE current_setting('is_superuser')::boolean
"""
CHECK_KEYS = """
    SELECT set_config('session_replication_role', 'origin', true)
    WHERE current_setting('is_superuser')::boolean
"""


def reserve_ids(table: str, *, count: int) -> list[int]:
    """Draw ids from the sequence of a table, in ascending order; nobody else gets them."""
    with connection.cursor() as cursor:
        cursor.execute(RESERVE_IDS, {"table": table, "count": count})
        return list(chain.from_iterable(range(first, last + 1) for first, last in cursor.fetchall()))


@transaction.atomic
def load(batch: Batch) -> Batch:
    """Write a batch, all of it or nothing, and invalidate the cached lists."""
    with connection.cursor() as cursor:
        cursor.execute(SETTINGS)
    with trusted_keys(batch.people):
        copy(f"tickets_ticket ({rows.TICKET_COLUMNS})", batch.tickets)
        copy(f"tickets_comment ({rows.COMMENT_COLUMNS})", batch.comments)
        copy(f"tickets_ticketevent ({rows.EVENT_COLUMNS})", batch.events)
        copy(f"tickets_searchdocument ({rows.DOCUMENT_COLUMNS})", batch.documents)
    invalidate_all_lists()
    return batch


@contextmanager
def trusted_keys(users: Collection[int]) -> Iterator[None]:
    """Let rows be written without a look at what they refer to: locked users, and rows of the same transaction."""
    with connection.cursor() as cursor:
        cursor.execute(LOCK_USERS, [list(users)])
        if len(cursor.fetchall()) < len(users):
            raise CommandError("A demo user was deleted meanwhile.")
        cursor.execute(TRUST_KEYS)
        yield
        cursor.execute(CHECK_KEYS)


def copy(target: str, contents: bytes) -> None:
    with connection.cursor() as cursor, cursor.copy(f"COPY {target} FROM STDIN (FORMAT binary)") as stream:
        stream.write(contents)


@transaction.atomic
def empty_tables() -> None:
    """Delete all tickets with their comments, history and search words, and whatever refers to them."""
    with connection.cursor() as cursor:
        cursor.execute(SETTINGS)
        cursor.execute(f"TRUNCATE {TABLES} CASCADE")
    invalidate_all_lists()


def settle_tables() -> None:
    """Let the planner know the new rows, and the indexes take in what they keep aside; not in a transaction."""
    with sessions() as soon:
        for vacuumed in [soon(vacuum, tables) for tables in TABLE_GROUPS]:
            vacuumed.result()


def vacuum(tables: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute(f"VACUUM (ANALYZE) {tables}")
