"""Writes batches into the database through COPY, beside a running product."""

from itertools import chain

from django.db import connection, transaction

from helpdesk.tickets import search
from helpdesk.tickets.demo import rows
from helpdesk.tickets.demo.batches import Batch
from helpdesk.tickets.list_cache import outdate_lists_naming_people

# `SET LOCAL` ends with the transaction. A crash of the server may lose the last batches, never part of one.
SESSION = "SET LOCAL statement_timeout = 0; SET LOCAL synchronous_commit = off; SET CONSTRAINTS ALL IMMEDIATE"
TABLES = ("tickets_ticket", "tickets_comment", "tickets_ticketevent", "tickets_searchdocument", "tickets_searchword")
# Ids that others draw meanwhile leave holes: the drawn ones come back as ranges without any.
RESERVE_IDS = """
    SELECT min(id), max(id)
    FROM (
        SELECT nextval(pg_get_serial_sequence(%(table)s, 'id')) AS id, number
        FROM generate_series(1, %(count)s) AS number
    ) AS drawn
    GROUP BY id - number
    ORDER BY min(id)
"""


def reserve_ids(table: str, *, count: int) -> list[int]:
    """Draw ids from the sequence of a table, in ascending order; nobody else gets them."""
    with connection.cursor() as cursor:
        cursor.execute(RESERVE_IDS, {"table": table, "count": count})
        return list(chain.from_iterable(range(first, last + 1) for first, last in cursor.fetchall()))


@transaction.atomic
def load(batch: Batch) -> None:
    """Write a batch, all of it or nothing, and outdate the lists that are cached."""
    with connection.cursor() as cursor:
        cursor.execute(SESSION)
    copy(f"tickets_ticket ({rows.TICKET_COLUMNS})", batch.tickets, file_format="binary")
    copy(f"tickets_comment ({rows.COMMENT_COLUMNS})", batch.comments, file_format="binary")
    copy(f"tickets_ticketevent ({rows.EVENT_COLUMNS})", batch.events, file_format="binary")
    copy(f"tickets_searchdocument ({rows.DOCUMENT_COLUMNS})", batch.documents, file_format="text")
    search.learn_words(batch.words)
    outdate_lists_naming_people()


def copy(target: str, contents: bytes, *, file_format: str) -> None:
    with connection.cursor() as cursor, cursor.copy(f"COPY {target} FROM STDIN (FORMAT {file_format})") as stream:
        stream.write(contents)


@transaction.atomic
def empty_tables() -> None:
    """Delete all tickets with their comments, history and search words, and whatever refers to them."""
    with connection.cursor() as cursor:
        cursor.execute(SESSION)
        cursor.execute(f"TRUNCATE {', '.join(TABLES)} CASCADE")
    outdate_lists_naming_people()


@transaction.atomic
def refresh_statistics() -> None:
    """Let the planner know the new sizes, and the index of words take in what it has put aside."""
    with connection.cursor() as cursor:
        cursor.execute(SESSION)
        search.settle_documents()
        cursor.execute(f"ANALYZE {', '.join(TABLES)}, users_user")
