"""Finds tickets by words and parts of words, whatever the case, the accents or the inflection.

Parts and inflections are looked up among the distinct words of all tickets (SearchWord), short rows by the thousand;
the tickets are then found by whole words in one inverted index (SearchDocument), the fastest there is.
"""

import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from django.contrib.postgres.search import SearchVectorField
from django.db import OperationalError, connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Lookup, QuerySet
from django.db.models.sql.compiler import SQLCompiler
from psycopg.errors import LockNotAvailable, QueryCanceled

from helpdesk.core.folding import fold
from helpdesk.tickets.models import Comment, SearchWord, Ticket
from helpdesk.tickets.words import Searched, has_parts, searched_in, ways_to_find, words_in

MAXIMUM_QUERY_LENGTH = 200
# Of more words the longest are searched: they narrow a search the most.
MAXIMUM_QUERY_WORDS = 10
# PostgreSQL bounds a tsvector at 1 MiB of text; 7,000 words of 32 characters of 4 bytes fit.
MAXIMUM_DOCUMENT_WORDS = 7000
# Shorter parts have no trigram: only the beginnings of words are searched.
MINIMUM_PART_LENGTH = 3
# A part of more words than these is a syllable.
MAXIMUM_WORDS_PER_PART = 500
# Among more words with a part, any of them are ranked: sorting them all has no bound.
MAXIMUM_WORDS_RANKED = 50_000
COMMENTS_PER_QUERY = 100
# A ticket is indexed again while its row is locked.
MAXIMUM_COMMENT_PAGES = 50
# Longer than deadlock_timeout (1 s), when PostgreSQL cancels an autovacuum that holds the lock.
LOCK_TIMEOUT_MS = 1500
# Writers of words wait as long at night.
LOCKED_STATEMENT_TIMEOUT_MS = 5_000
# A range of common words takes longer than a request may.
LOOKUP_TIMEOUT_MS = 300_000
# Tickets, or words, that are looked at between two looks at which come next.
RANGE_SIZE = 500

logger = logging.getLogger(__name__)

TICKET_NUMBER = re.compile(r"#(\d{1,18})")

# In one order within a statement, so that no two statements wait for each other. Transactions of several statements, such
# as a form of the admin with a title and a comment, can still deadlock: PostgreSQL cancels one, which is answered by 503.
LEARN = """
    INSERT INTO tickets_searchword (word, spanish_stem, english_stem, first_customer)
    SELECT word, coalesce((ts_lexize('spanish_stem', word))[1], word), coalesce((ts_lexize('english_stem', word))[1], word),
        %(customer)s::bigint
    FROM ({words}) AS new (word)
    WHERE NOT EXISTS (SELECT FROM tickets_searchword AS known WHERE known.word = new.word)
    ORDER BY word
    ON CONFLICT (word) DO NOTHING
"""
LEARN_WORDS = LEARN.format(words="SELECT unnest(%(learnt)s::text[])")
# What is new of the words, as far as the ticket has room.
ADD_WORDS = f"""
    WITH present AS MATERIALIZED (
        SELECT words FROM tickets_searchdocument WHERE ticket_id = %(ticket)s
    ), added AS MATERIALIZED (
        SELECT word
        FROM unnest(%(words)s::text[]) WITH ORDINALITY AS given (word, place)
        WHERE word NOT IN (SELECT unnest(tsvector_to_array(words)) FROM present)
        ORDER BY place
        LIMIT greatest(0, %(maximum)s - coalesce((SELECT length(words) FROM present), 0))
    ), learnt AS (
        {LEARN.format(words="SELECT unnest(%(learnt)s::text[]) INTERSECT SELECT word FROM added")}
    )
    INSERT INTO tickets_searchdocument AS document (ticket_id, words)
    VALUES (%(ticket)s, array_to_tsvector(ARRAY(SELECT word FROM added)))
    ON CONFLICT (ticket_id) DO UPDATE SET words = document.words || EXCLUDED.words
"""  # noqa: S608 -- made of constants
REPLACE_WORDS = f"""
    WITH learnt AS ({LEARN_WORDS})
    INSERT INTO tickets_searchdocument (ticket_id, words)
    VALUES (%(ticket)s, array_to_tsvector(%(words)s::text[]))
    ON CONFLICT (ticket_id) DO UPDATE SET words = EXCLUDED.words
"""  # noqa: S608 -- made of constants
# Inflections are few. Of the words with a part, the shortest that each customer brought comes before anybody's second: many
# words of one customer take one place of the first round. Words of bulk loads are each in the first round.
WORDS_LIKE = """
    WITH asked AS MATERIALIZED (
        SELECT part, (ts_lexize('spanish_stem', part))[1] AS spanish, (ts_lexize('english_stem', part))[1] AS english
        FROM unnest(%(parts)s::text[]) AS part
    )
    SELECT part, array_agg(word)
    FROM asked CROSS JOIN LATERAL (
        SELECT word FROM tickets_searchword WHERE spanish_stem = spanish
        UNION
        SELECT word FROM tickets_searchword WHERE english_stem = english
        UNION
        (
            SELECT word
            FROM (
                SELECT word, row_number() OVER (
                    PARTITION BY first_customer, CASE WHEN first_customer IS NULL THEN word END
                    ORDER BY length(word), word
                ) AS place
                FROM (
                    SELECT word, first_customer
                    FROM tickets_searchword
                    WHERE word LIKE '%%' || part || '%%' AND NOT starts_with(word, part)
                    LIMIT %(ranked)s
                ) AS containing
            ) AS placed
            ORDER BY place, length(word), word
            LIMIT %(maximum)s
        )
    ) AS known
    WHERE NOT starts_with(word, part)
    GROUP BY part
"""
UNUSED_WORDS = """
    SELECT word FROM unnest(%s::text[]) AS known (word)
    WHERE NOT EXISTS (SELECT FROM tickets_searchdocument WHERE words @@ quote_literal(word)::tsquery)
"""


@SearchVectorField.register_lookup
class Matches(Lookup):
    """`words__matches="'ink' & 'printer'"`: a tsquery taken as it stands."""

    lookup_name = "matches"
    prepare_rhs = False

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> tuple[str, tuple[Any, ...]]:
        words, words_params = self.process_lhs(compiler, connection)
        query, query_params = self.process_rhs(compiler, connection)
        return f"{words} @@ {query}::tsquery", (*words_params, *query_params)


def add_words(ticket: Ticket, *texts: str) -> None:
    """Make a locked ticket be found by the words of the texts, beside those it has."""
    write_words(ADD_WORDS, ticket, texts)


def replace_words(ticket: Ticket) -> None:
    """Make a ticket be found by the words of its present texts only: first those of its title, last of new comments."""
    write_words(REPLACE_WORDS, ticket, chain([ticket.title, ticket.description], comments_of(ticket)))


def comments_of(ticket: Ticket) -> Iterator[str]:
    """Yield the texts of the first comments, some at a time: a ticket may have any number of them."""
    comments = Comment.objects.filter(ticket=ticket).order_by("id").values_list("id", "content")
    last_id = 0
    for _page in range(MAXIMUM_COMMENT_PAGES):
        page = list(comments.filter(id__gt=last_id)[:COMMENTS_PER_QUERY])
        yield from (content for _id, content in page)
        if len(page) < COMMENTS_PER_QUERY:
            return
        last_id = page[-1][0]


def write_words(statement: str, ticket: Ticket, texts: Iterable[str]) -> None:
    words: dict[str, None] = {}
    for text in texts:
        words.update(dict.fromkeys(words_in(text)))
        if len(words) >= MAXIMUM_DOCUMENT_WORDS:
            break
    kept = list(words)[:MAXIMUM_DOCUMENT_WORDS]
    learnt = sorted(filter(has_parts, kept))
    parameters: dict[str, Any] = {
        "ticket": ticket.pk,
        "customer": ticket.created_by_id,
        "words": kept,
        "learnt": learnt,
        "maximum": MAXIMUM_DOCUMENT_WORDS,
    }
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)


def learn_words(words: Iterable[str]) -> None:
    """Make words of documents that were written elsewhere be found by their parts and inflections."""
    with connection.cursor() as cursor:
        cursor.execute(LEARN_WORDS, {"learnt": sorted(filter(has_parts, words)), "customer": None})


def rebuild() -> Iterator[int]:
    """Index every ticket again, each in a transaction of its own; yields how many are done, range by range."""
    last_id = done = 0
    while ids := list(Ticket.objects.filter(id__gt=last_id).order_by("id").values_list("id", flat=True)[:RANGE_SIZE]):
        for ticket_id in ids:
            with transaction.atomic():
                for ticket in Ticket.objects.locked().filter(pk=ticket_id):
                    replace_words(ticket)
        last_id, done = ids[-1], done + len(ids)
        yield done


def delete_unused_words() -> int:
    """Delete the words that no ticket has any more, in short transactions; returns how many.

    Ends early when those who write words, or a vacuum, keep the table: the rest is deleted the next time.
    """
    with connection.cursor() as cursor:
        # Or each of the many lookups below would read what the index keeps aside.
        cursor.execute("SELECT gin_clean_pending_list('tickets_search_words')")
    last_word, deleted = "", 0
    words = SearchWord.objects.order_by("word").values_list("word", flat=True)
    while known := list(words.filter(word__gt=last_word)[:RANGE_SIZE]):
        try:
            deleted += delete_if_unused(unused_words(known, timeout_ms=LOOKUP_TIMEOUT_MS))
        except OperationalError as error:
            if isinstance(error.__cause__, LockNotAvailable):
                break
            if not isinstance(error.__cause__, QueryCanceled):
                raise
            logger.warning("Unused search words were left, because their lookup took too long.")
        last_word = known[-1]
    return deleted


@transaction.atomic
def unused_words(words: Sequence[str], *, timeout_ms: int) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL enable_seqscan = off; SET LOCAL statement_timeout = {timeout_ms}")
        cursor.execute(UNUSED_WORDS, [list(words)])
        return [word for (word,) in cursor.fetchall()]


@transaction.atomic
def delete_if_unused(words: Sequence[str]) -> int:
    """Delete what is still unused once those who write words have committed.

    Raises OperationalError when they, or the lookup, take too long.
    """
    if not words:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
        cursor.execute("LOCK TABLE tickets_searchword IN SHARE ROW EXCLUSIVE MODE")
    unused = unused_words(words, timeout_ms=LOCKED_STATEMENT_TIMEOUT_MS)
    deleted, _ = SearchWord.objects.filter(word__in=unused).delete()
    return deleted


def matching(queryset: QuerySet[Ticket], text: str) -> QuerySet[Ticket]:
    """Keep the tickets that have all that the text says, or ticket 12 for "#12".

    Text that cannot be seen is no search; one without anything to look up ("!!!") finds nothing.
    """
    if number := TICKET_NUMBER.fullmatch(text.strip()):
        return queryset.filter(pk=int(number[1]))
    folded = fold(text).strip()
    if not folded:
        return queryset
    query = text_query(searched_in(folded[:MAXIMUM_QUERY_LENGTH]))
    return queryset.filter(search_document__words__matches=query) if query else queryset.none()


def text_query(searched: Searched) -> str:
    """Return a tsquery for the tickets that have every word, or one like it; empty when nothing is searched for."""
    words = sorted(searched.words, key=len, reverse=True)[:MAXIMUM_QUERY_WORDS]
    ways = [ways_to_find(word) for word in words]
    parts = {part for way in chain.from_iterable(ways) for part in way if len(part) >= MINIMUM_PART_LENGTH}
    alike = words_like(sorted(parts))
    conditions = [" | ".join(all_of(way, alike) for way in ways_of_word) for ways_of_word in ways]
    beginnings = (f"'{word}':*" for word in searched.beginnings)
    whole = (f"'{word}'" for word in searched.whole)
    return " & ".join([*(f"({condition})" for condition in conditions), *beginnings, *whole])


def all_of(parts: Iterable[str], alike: Mapping[str, Sequence[str]]) -> str:
    """Return a tsquery for, of each part, a word that begins with it or is like it."""
    return " & ".join(
        "({})".format(" | ".join([f"'{part}':*", *(f"'{word}'" for word in alike.get(part, ()))])) for part in parts
    )


def words_like(parts: Sequence[str]) -> dict[str, list[str]]:
    """Return for each part the known words that contain it or share a stem with it, but do not begin with it."""
    if not parts:
        return {}
    parameters: dict[str, Any] = {
        "parts": list(parts),
        "maximum": MAXIMUM_WORDS_PER_PART,
        "ranked": MAXIMUM_WORDS_RANKED,
    }
    with connection.cursor() as cursor:
        cursor.execute(WORDS_LIKE, parameters)
        return dict(cursor.fetchall())
