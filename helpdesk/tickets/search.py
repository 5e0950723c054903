"""Finds tickets by words and parts of words, whatever the case, the accents or the inflection.

Parts and inflections are looked up among the distinct words of all tickets (SearchWord), a few thousand short rows;
the tickets are then found by whole words in one inverted index (SearchDocument), the fastest there is.
"""

import re
import unicodedata
from collections.abc import Iterable
from typing import Any

from django.contrib.postgres.search import SearchVectorField
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Lookup, QuerySet
from django.db.models.sql.compiler import SQLCompiler

from helpdesk.tickets.models import Comment, Ticket

MAXIMUM_QUERY_LENGTH = 200
MAXIMUM_QUERY_WORDS = 10
MAXIMUM_WORD_LENGTH = 32
# PostgreSQL bounds a tsvector at 1 MiB of text; 7,000 words of 32 characters of 4 bytes fit.
MAXIMUM_DOCUMENT_WORDS = 7000
# Shorter parts have no trigram: only the beginnings of words are searched.
MINIMUM_PART_LENGTH = 3
# A part of more words than these is a syllable; the shortest words are the closest to it.
MAXIMUM_WORDS_PER_PART = 200

WORD = re.compile(r"[^\W_]+")
TICKET_NUMBER = re.compile(r"#(\d{1,18})")

LEARN_WORDS = """
    INSERT INTO tickets_searchword (word, spanish_stem, english_stem)
    SELECT word, coalesce((ts_lexize('spanish_stem', word))[1], word), coalesce((ts_lexize('english_stem', word))[1], word)
    FROM unnest(%(words)s::text[]) AS word
    ON CONFLICT (word) DO NOTHING
"""
ADD_WORDS = f"""
    WITH learnt AS ({LEARN_WORDS})
    INSERT INTO tickets_searchdocument AS document (ticket_id, words)
    VALUES (%(ticket)s, array_to_tsvector(%(words)s::text[]))
    ON CONFLICT (ticket_id) DO UPDATE SET words = document.words || EXCLUDED.words
    WHERE length(document.words) < %(maximum)s
"""  # noqa: S608 -- made of constants
WORDS_LIKE = """
    WITH asked AS MATERIALIZED (
        SELECT part, (ts_lexize('spanish_stem', part))[1] AS spanish, (ts_lexize('english_stem', part))[1] AS english
        FROM unnest(%(parts)s::text[]) AS part
    )
    SELECT part, array_agg(word)
    FROM asked CROSS JOIN LATERAL (
        SELECT word FROM tickets_searchword
        WHERE (word LIKE '%%' || part || '%%' OR spanish_stem = spanish OR english_stem = english)
            AND NOT starts_with(word, part)
        ORDER BY length(word), word
        LIMIT %(maximum)s
    ) AS known
    GROUP BY part
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


def words_in(text: str) -> list[str]:
    """Return the distinct words of a text, in alphabetical order: lower-case, without accents, of bounded length."""
    plain = text.casefold()
    if not plain.isascii():
        plain = "".join(char for char in unicodedata.normalize("NFKD", plain) if not unicodedata.combining(char))
    # Every transaction learns words in the same order, so that two cannot wait for each other.
    return sorted({word[:MAXIMUM_WORD_LENGTH] for word in WORD.findall(plain)})


def add_words(ticket_id: int, *texts: str) -> None:
    """Make a ticket be found by the words of the texts, beside those it has."""
    with connection.cursor() as cursor:
        cursor.execute(
            ADD_WORDS,
            {"ticket": ticket_id, "words": words_in(" ".join(texts)), "maximum": MAXIMUM_DOCUMENT_WORDS},
        )


def learn_words(words: Iterable[str]) -> None:
    """Make words of documents that were written elsewhere be found by their parts and inflections."""
    with connection.cursor() as cursor:
        cursor.execute(LEARN_WORDS, {"words": sorted(words)})


def replace_words(ticket: Ticket) -> None:
    """Make a ticket be found by the words of its present texts only."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM tickets_searchdocument WHERE ticket_id = %s", [ticket.pk])
    comments = Comment.objects.filter(ticket=ticket).values_list("content", flat=True)
    add_words(ticket.pk, ticket.title, ticket.description, *comments)


def matching(queryset: QuerySet[Ticket], text: str) -> QuerySet[Ticket]:
    """Keep the tickets that have every word of the text, or ticket 12 for "#12"."""
    if number := TICKET_NUMBER.fullmatch(text.strip()):
        return queryset.filter(pk=int(number[1]))
    parts = words_in(text)
    if not parts:
        return queryset.none()
    return queryset.filter(search_document__words__matches=text_query(parts))


def text_query(parts: list[str]) -> str:
    """Return a tsquery for the tickets that have, for each part, a word that begins with it or is like it."""
    alike = words_like([part for part in parts if len(part) >= MINIMUM_PART_LENGTH])
    return " & ".join(
        "({})".format(" | ".join([f"'{part}':*", *(f"'{word}'" for word in alike.get(part, []))])) for part in parts
    )


def words_like(parts: list[str]) -> dict[str, list[str]]:
    """Return for each part the known words that contain it or share a stem with it, but do not begin with it."""
    if not parts:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(WORDS_LIKE, {"parts": parts, "maximum": MAXIMUM_WORDS_PER_PART})
        return dict(cursor.fetchall())
