"""Search of tickets by words, parts of words and inflections, ignoring case and accents.

A search first looks up the searched words among the distinct words of all tickets (SearchWord): by part in a trigram index, by
stem in Spanish and English. It then finds the tickets by whole words in one inverted index (SearchDocument).

Every step is bounded; beyond these bounds a search silently finds less:
- of a query, its first 200 characters and its 10 longest words;
- for each part, all words that begin with it, but of the words that contain it elsewhere only 500, taken from at most 50,000:
  the shortest that each customer brought in, then the second of each, and so on;
- of a ticket, its first 7,000 distinct words; when the index is rebuilt, those of its first 5,000 comments.
Parts of one or two characters match beginnings of words only. Words without parts, such as pairs of Chinese characters and
signs, match as a whole.

Transactions that add the same new word wait for each other: the second until the first has ended.

The words of texts, and the index of them, are in `search_index`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

from django.contrib.postgres.search import SearchVectorField
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Lookup, QuerySet
from django.db.models.sql.compiler import SQLCompiler

from helpdesk.tickets.models import Ticket
from helpdesk.tickets.search_index import (
    LETTER,
    MAXIMUM_WORD_LENGTH,
    PICTOGRAPH,
    PIECE_STEP,
    RUN,
    WORD,
    WORD_WITH_SIGN,
    fold,
    pairs_of,
)

MAXIMUM_QUERY_LENGTH = 200
# Of more words the longest are searched: they are the most selective.
MAXIMUM_QUERY_WORDS = 10
# Shorter parts have no trigram: only the beginnings of words are searched.
MINIMUM_PART_LENGTH = 3
MAXIMUM_WORDS_PER_PART = 500
# If more words contain a part, any of them are ranked: sorting all has no bound.
MAXIMUM_WORDS_RANKED = 50_000
TICKET_NUMBER = re.compile(r"#(\d{1,18})")

# .NET, but no extension of a file name.
WORD_WITH_LEADING_DOT = re.compile(rf"(?<![\w.])\.(?!\d){LETTER}+")
SIGNS = "+#."

# Of the words that contain a part, the shortest of each customer ranks before the second of any: one customer who adds many
# words does not hide those of others. Words of bulk loads all rank first.
WORDS_LIKE = """
    WITH searched AS MATERIALIZED (
        SELECT part, (ts_lexize('spanish_stem', part))[1] AS spanish, (ts_lexize('english_stem', part))[1] AS english
        FROM unnest(%(parts)s::text[]) AS part
    )
    SELECT part, array_agg(word)
    FROM searched CROSS JOIN LATERAL (
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
                ) AS rank
                FROM (
                    SELECT word, first_customer
                    FROM tickets_searchword
                    WHERE word LIKE '%%' || part || '%%' AND NOT starts_with(word, part)
                    LIMIT %(ranked)s
                ) AS containing
            ) AS ranked
            ORDER BY rank, length(word), word
            LIMIT %(maximum)s
        )
    ) AS known
    WHERE NOT starts_with(word, part)
    GROUP BY part
"""


class SearchTerms(NamedTuple):
    """A parsed query: words to find by part and inflection, prefixes of words, and whole words."""

    words: list[str]
    prefixes: list[str]
    whole_words: list[str]


@SearchVectorField.register_lookup
class Matches(Lookup):
    """`words__matches="'ink' & 'printer'"`: a tsquery taken as it stands."""

    lookup_name = "matches"
    prepare_rhs = False

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> tuple[str, tuple[Any, ...]]:
        words, words_params = self.process_lhs(compiler, connection)
        query, query_params = self.process_rhs(compiler, connection)
        return f"{words} @@ {query}::tsquery", (*words_params, *query_params)


def search_tickets(queryset: QuerySet[Ticket], text: str) -> QuerySet[Ticket]:
    """Filter the tickets that contain every word of a query, or ticket 12 for "#12".

    A query of invisible characters does not filter; one without words, such as "!!!", finds nothing.
    """
    if number := TICKET_NUMBER.fullmatch(text.strip()):
        return queryset.filter(pk=int(number[1]))
    folded = fold(text).strip()
    if not folded:
        return queryset
    query = build_tsquery(parse_query(folded[:MAXIMUM_QUERY_LENGTH]))
    return queryset.filter(search_document__words__matches=query) if query else queryset.none()


def build_tsquery(terms: SearchTerms) -> str:
    """Return a tsquery for the documents that match every term; empty without terms."""
    words = sorted(terms.words, key=len, reverse=True)[:MAXIMUM_QUERY_WORDS]
    alternatives = [part_combinations(word) for word in words]
    parts = {part for combination in chain.from_iterable(alternatives) for part in combination}
    similar = find_similar_words(sorted(part for part in parts if len(part) >= MINIMUM_PART_LENGTH))
    conditions = [" | ".join(tsquery_for_parts(parts, similar) for parts in of_word) for of_word in alternatives]
    prefixes = (f"'{word}':*" for word in terms.prefixes)
    whole = (f"'{word}'" for word in terms.whole_words)
    return " & ".join([*(f"({condition})" for condition in conditions), *prefixes, *whole])


def tsquery_for_parts(parts: Iterable[str], similar: Mapping[str, Sequence[str]]) -> str:
    """Return a tsquery for the documents that contain, for each part, a word that begins with it or is similar to it."""
    return " & ".join(
        "({})".format(" | ".join([f"'{part}':*", *(f"'{word}'" for word in similar.get(part, ()))])) for part in parts
    )


def find_similar_words(parts: Sequence[str]) -> dict[str, list[str]]:
    """Return for each part the indexed words that contain it or share a stem with it, but do not begin with it."""
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


def parse_query(text: str) -> SearchTerms:
    """Return the terms of a folded query."""
    with_signs = [
        word
        for word in chain(WORD_WITH_SIGN.findall(text), WORD_WITH_LEADING_DOT.findall(text))
        if len(word) <= MAXIMUM_WORD_LENGTH
    ]
    without_signs = {word.strip(SIGNS) for word in with_signs}
    runs = RUN.findall(text)
    pairs = chain.from_iterable(pairs_of(run) for run in runs if len(run) > 1)
    return SearchTerms(
        words=[word for word in dict.fromkeys(WORD.findall(text)) if word not in without_signs],
        prefixes=[*with_signs, *(run for run in runs if len(run) == 1)],
        whole_words=[*dict.fromkeys(chain(pairs, PICTOGRAPH.findall(text)))],
    )


def part_combinations(word: str) -> list[list[str]]:
    """Return lists of parts: a text contains the word if it contains all parts of one list.

    A long word may be part of a longer one and span two of its pieces: each of its parts of PIECE_STEP characters is in one.
    """
    combinations = [[word]] if len(word) <= MAXIMUM_WORD_LENGTH else []
    if len(word) > PIECE_STEP + 1:
        starts = [*range(0, len(word) - PIECE_STEP, PIECE_STEP), len(word) - PIECE_STEP]
        combinations.append([word[start : start + PIECE_STEP] for start in starts])
    return combinations
