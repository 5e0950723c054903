"""Rows in PostgreSQL's binary COPY format: every field is its length in four bytes, then its value.

Written by hand, since per-row adaptation by the driver costs more than all the rest of the work.
"""

import struct
from collections.abc import Iterable
from functools import lru_cache

from helpdesk.demo.moments import Moment
from helpdesk.tickets.models import EventKind, EventSource, Priority, Status

HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
TRAILER = struct.pack(">h", -1)
NULL = struct.pack(">i", -1)
JSONB_VERSION = b"\x01"
# Ends a word of a tsvector and says that it has no positions.
LEXEME_END = b"\x00\x00\x00"

Lexemes = frozenset[bytes]

TICKET_COLUMNS = (
    "id, created_by_id, created_at, updated_at, comments_count, version, priority, "
    "assigned_to_id, last_comment_at, status, title, description"
)
COMMENT_COLUMNS = "id, ticket_id, author_id, created_at, content"
# The ids of events come from their sequence, in the order of the rows.
EVENT_COLUMNS = "uuid, ticket_id, actor_id, created_at, announced_at, source, kind, comment_id, old, new"
DOCUMENT_COLUMNS = "ticket_id, words"

LENGTH = struct.Struct(">i")
NUMBER = struct.Struct(">iq")
TICKET_START = struct.Struct(">hiqiqiqiqiiiiih")
COMMENT_START = struct.Struct(">hiqiqiqiqi")


def field(value: bytes) -> bytes:
    return LENGTH.pack(len(value)) + value


def text(value: str) -> bytes:
    return field(value.encode())


def number(value: int | None) -> bytes:
    """Return an id or a time."""
    return NULL if value is None else NUMBER.pack(8, value)


def json(value: bytes | None) -> bytes:
    return NULL if value is None else field(JSONB_VERSION + value)


STATUSES = {status: text(status.value) for status in Status}
KINDS = {kind: text(EventSource.COMMAND) + text(kind.value) for kind in EventKind}
EVENT_START = struct.Struct(">hi16siqiqiqiq")
COMMENT_ADDED = KINDS[EventKind.COMMENT_ADDED]
COMMENT_EVENT = struct.Struct(f">hi16siqiqiqiq{len(COMMENT_ADDED)}siqii")
DOCUMENT_START = struct.Struct(">hiqii")


def ticket_row(
    ticket_id: int,
    *,
    title: str,
    description: str,
    status: Status,
    priority: Priority,
    created_by: int,
    assigned_to: int | None,
    comments: int,
    last_comment_at: Moment | None,
    version: int,
    created_at: Moment,
    updated_at: Moment,
) -> bytes:
    start = TICKET_START.pack(
        *(12, 8, ticket_id, 8, created_by, 8, created_at, 8, updated_at),
        *(4, comments, 4, version, 2, priority),
    )
    ends = (number(assigned_to), number(last_comment_at), STATUSES[status], text(title), text(description))
    return start + b"".join(ends)


def comment_row(comment_id: int, ticket_id: int, author: int, content: str, at: Moment) -> bytes:
    encoded = content.encode()
    return COMMENT_START.pack(5, 8, comment_id, 8, ticket_id, 8, author, 8, at, len(encoded)) + encoded


def comment_event_row(uuid: bytes, ticket_id: int, actor: int, comment_id: int, at: Moment) -> bytes:
    return COMMENT_EVENT.pack(
        *(10, 16, uuid, 8, ticket_id, 8, actor, 8, at, 8, at),
        *(COMMENT_ADDED, 8, comment_id, -1, -1),
    )


def event_row(uuid: bytes, ticket_id: int, actor: int, change: bytes, at: Moment) -> bytes:
    """Return an event without a comment; it counts as announced, so that nobody is told."""
    return EVENT_START.pack(10, 16, uuid, 8, ticket_id, 8, actor, 8, at, 8, at) + change


@lru_cache(maxsize=4096)
def change(kind: EventKind, old: bytes | None, new: bytes | None) -> bytes:
    """Return the end of an event's row; the values are JSON."""
    return KINDS[kind] + NULL + json(old) + json(new)


def creation(first_values: bytes) -> bytes:
    """Return the end of the row of a ticket's first event."""
    return KINDS[EventKind.TICKET_CREATED] + NULL + NULL + json(first_values)


def lexemes_of(words: Iterable[str]) -> Lexemes:
    """Return words as a document holds them."""
    return frozenset(word.encode() + LEXEME_END for word in words)


def word_of(lexeme: bytes) -> str:
    return lexeme.removesuffix(LEXEME_END).decode()


def document_row(ticket_id: int, words: Iterable[Lexemes]) -> bytes:
    """Return a document with each of the words once, sorted by their bytes, so that PostgreSQL need not do it."""
    lexemes = sorted(frozenset().union(*words))
    vector = b"".join(lexemes)
    return DOCUMENT_START.pack(2, 8, ticket_id, 4 + len(vector), len(lexemes)) + vector
