"""Queries of tickets by words, parts of words and inflections, ignoring case and accents.

The searched words are looked up among the distinct words of all tickets (SearchWord): by part in a trigram index, by stem in
Spanish and English. The result is a tsquery of the words that tickets have; `search_results` finds the tickets by it.

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
from collections.abc import Iterable
from itertools import chain
from typing import Any, NamedTuple

from django.db import connection

from helpdesk.tickets.search_index import (
    LETTER,
    MAXIMUM_WORD_LENGTH,
    PICTOGRAPH,
    PIECE_STEP,
    RUN,
    WORD,
    WORD_WITH_SIGN,
    pairs_of,
)

MAXIMUM_QUERY_LENGTH = 200
# Of more words the longest are searched: they are the most selective.
MAXIMUM_QUERY_WORDS = 10
# Shorter parts have no trigram: only the beginnings of words are searched.
MINIMUM_PART_LENGTH = 3
MAXIMUM_WORDS_PER_PART = 500
# Up to so many words that begin with a part are searched one by one, which the inverted index does faster than a prefix.
MAXIMUM_BEGINNINGS = 50
# If more words contain a part, any of them are ranked: sorting all has no bound.
MAXIMUM_WORDS_RANKED = 50_000
TICKET_NUMBER = re.compile(r"#(\d{1,18})")

# .NET, but no extension of a file name.
WORD_WITH_LEADING_DOT = re.compile(rf"(?<![\w.])\.(?!\d){LETTER}+")
SIGNS = "+#."

# Of the words that contain a part, the shortest of each customer ranks before the second of any: one customer who adds many
# words does not hide those of others. Words of bulk loads all rank first.
SIMILAR_WORDS = """
    WITH searched AS MATERIALIZED (
        SELECT part, (ts_lexize('spanish_stem', part))[1] AS spanish, (ts_lexize('english_stem', part))[1] AS english
        FROM unnest(%(parts)s::text[]) AS part
    )
    SELECT part, (
        SELECT CASE WHEN count(*) <= %(beginnings)s THEN coalesce(array_agg(word), '{}') END
        FROM tickets_searchword
        WHERE word LIKE part || '%%'
    ), ARRAY(
        SELECT word FROM tickets_searchword WHERE spanish_stem = spanish AND NOT starts_with(word, part)
        UNION
        SELECT word FROM tickets_searchword WHERE english_stem = english AND NOT starts_with(word, part)
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
    )
    FROM searched
"""


class SearchTerms(NamedTuple):
    """A parsed query: words to find by part and inflection, prefixes of words, and whole words."""

    words: list[str]
    prefixes: list[str]
    whole_words: list[str]


def build_tsquery(text: str) -> str:
    """Return a tsquery for the documents that have every word of a folded text; empty if no ticket can have them all."""
    terms = parse_query(text[:MAXIMUM_QUERY_LENGTH])
    words = sorted(terms.words, key=len, reverse=True)[:MAXIMUM_QUERY_WORDS]
    alternatives = [part_combinations(word) for word in words]
    operands = find_operands(set(chain.from_iterable(chain.from_iterable(alternatives))))
    conditions = [
        any_of(all_of(any_of(operands[part]) for part in combination) for combination in combinations)
        for combinations in alternatives
    ]
    prefixes = (f"'{word}':*" for word in terms.prefixes)
    whole_words = (f"'{word}'" for word in terms.whole_words)
    return all_of([*conditions, *prefixes, *whole_words])


def any_of(tsqueries: Iterable[str]) -> str:
    """Return a tsquery that matches where any does; an empty one matches nothing."""
    return " | ".join(f"({tsquery})" for tsquery in tsqueries if tsquery)


def all_of(tsqueries: Iterable[str]) -> str:
    """Return a tsquery that matches where all do; an empty one matches nothing."""
    conditions = [f"({tsquery})" for tsquery in tsqueries]
    return "" if "()" in conditions else " & ".join(conditions)


def find_operands(parts: Iterable[str]) -> dict[str, list[str]]:
    """Return for each part the operands of a tsquery for the words that contain it or share a stem with it, none if no word does.

    Parts too short for that match the beginnings of words, whether there are any or not.
    """
    operands = {part: [f"'{part}':*"] for part in parts}
    parameters: dict[str, Any] = {
        "parts": sorted(part for part in operands if len(part) >= MINIMUM_PART_LENGTH),
        "beginnings": MAXIMUM_BEGINNINGS,
        "maximum": MAXIMUM_WORDS_PER_PART,
        "ranked": MAXIMUM_WORDS_RANKED,
    }
    if parameters["parts"]:
        with connection.cursor() as cursor:
            cursor.execute(SIMILAR_WORDS, parameters)
            for part, beginnings, similar in cursor:
                words = [f"'{word}'" for word in [*(beginnings or []), *similar]]
                operands[part] = words if beginnings is not None else [*operands[part], *words]
    return operands


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
