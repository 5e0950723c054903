"""The words of texts, and the search index: the words of each ticket (SearchDocument), and of all tickets (SearchWord)."""

import logging
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

from django.db import OperationalError, connection, transaction
from psycopg.errors import LockNotAvailable, QueryCanceled

from helpdesk.tickets.models import Comment, SearchWord, Ticket

# PostgreSQL bounds a tsvector at 1 MiB of text; 7,000 words of 32 characters of 4 bytes fit.
MAXIMUM_DOCUMENT_WORDS = 7000
COMMENTS_PER_QUERY = 100
# Pages of COMMENTS_PER_QUERY: the ticket's row is locked while it is indexed again.
MAXIMUM_COMMENT_PAGES = 50
# Longer than deadlock_timeout (1 s), when PostgreSQL cancels an autovacuum that holds the lock.
LOCK_TIMEOUT_MS = 1500
# Writes of words wait for it, at night.
LOCKED_STATEMENT_TIMEOUT_MS = 5_000
# A range of common words takes longer than a request may.
LOOKUP_TIMEOUT_MS = 300_000
# Tickets or words read by one query.
RANGE_SIZE = 500

logger = logging.getLogger(__name__)

# Japanese voicing marks stay: か and が are different letters.
FOLDABLE = re.compile(r"[^\x00-\x7f\u1100-\u11ff\u2e80-\ud7ff]")
# Unicode does not decompose letters with a stroke, with a hook or without a dot, nor ligatures; their names say the letter.
LATIN_LETTER = re.compile(r"LATIN SMALL (?:LETTER|LIGATURE) (?:DOTLESS )?([A-Z]{1,2})(?: WITH .*)?")
PLAIN_SPELLINGS = {"ð": "d", "þ": "th", "ŋ": "n", "ĸ": "k", "ə": "e"}
SKIN_TONES = "\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"

MAXIMUM_WORD_LENGTH = 32
# A longer word is indexed in pieces that overlap by half, so that each part of PIECE_STEP + 1 characters is in one piece.
PIECE_STEP = MAXIMUM_WORD_LENGTH // 2
# Han, kana, bopomofo and hangul: letters alone, no punctuation.
CJK = "\u3005-\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u312f\u3131-\u318e\u31a0-\u31bf\u31f0-\u31ff"
CJK += "\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97c\uac00-\ud7fb\uf900-\ufaff\u1100-\u11ff\U00020000-\U0003ffff"
PICTOGRAPHS = "\u2300-\u23ff\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff"
# The blocks of the scripts, such as Devanagari and Thai, whose vowel signs are no letters to Python's \w.
BLOCKS_WITH_VOWEL_SIGNS = (
    range(0x0900, 0x1100),
    range(0x1200, 0x1E00),
    range(0xA800, 0xA960),
    range(0x11000, 0x12000),
)
VOWEL_SIGNS = "".join(
    char
    for char in map(chr, chain.from_iterable(BLOCKS_WITH_VOWEL_SIGNS))
    if unicodedata.category(char) in {"Mn", "Mc"} and not unicodedata.combining(char)
)
LETTER = rf"[^\W_{CJK}]"
WORD = re.compile(rf"(?:{LETTER}++[{VOWEL_SIGNS}]*+)++")
RUN = re.compile(rf"[{CJK}]+")
PICTOGRAPH = re.compile(rf"[{PICTOGRAPHS}]")
ASCII_WORD = re.compile(r"[a-z0-9]+")
# C++ and C#.
WORD_WITH_SIGN = re.compile(rf"(?<!{LETTER})(?:{LETTER}++\+\+|[a-z]#(?!{LETTER}))")
# .NET and the extensions of files.
WORD_WITH_DOT = re.compile(rf"(?<!\.)\.(?!\d){LETTER}+")

# In one order within a statement, so that no two statements wait for each other. Transactions of several statements, such
# as a form of the admin with a title and a comment, can still deadlock: PostgreSQL cancels one, which is answered by 503.
INSERT_NEW_WORDS = """
    INSERT INTO tickets_searchword (word, spanish_stem, english_stem, first_customer)
    SELECT word, coalesce((ts_lexize('spanish_stem', word))[1], word), coalesce((ts_lexize('english_stem', word))[1], word),
        %(customer)s::bigint
    FROM ({words}) AS new (word)
    WHERE NOT EXISTS (SELECT FROM tickets_searchword AS known WHERE known.word = new.word)
    ORDER BY word
    ON CONFLICT (word) DO NOTHING
"""
INSERT_WORDS = INSERT_NEW_WORDS.format(words="SELECT unnest(%(lexicon)s::text[])")
# Adds the words that the document does not contain, up to its bound.
ADD_WORDS = f"""
    WITH present AS MATERIALIZED (
        SELECT words FROM tickets_searchdocument WHERE ticket_id = %(ticket)s
    ), added AS MATERIALIZED (
        SELECT word
        FROM unnest(%(words)s::text[]) WITH ORDINALITY AS given (word, place)
        WHERE word NOT IN (SELECT unnest(tsvector_to_array(words)) FROM present)
        ORDER BY place
        LIMIT greatest(0, %(maximum)s - coalesce((SELECT length(words) FROM present), 0))
    ), inserted AS (
        {INSERT_NEW_WORDS.format(words="SELECT unnest(%(lexicon)s::text[]) INTERSECT SELECT word FROM added")}
    )
    INSERT INTO tickets_searchdocument AS document (ticket_id, words)
    VALUES (%(ticket)s, array_to_tsvector(ARRAY(SELECT word FROM added)))
    ON CONFLICT (ticket_id) DO UPDATE SET words = document.words || EXCLUDED.words
"""  # noqa: S608 -- made of constants
REPLACE_WORDS = f"""
    WITH inserted AS ({INSERT_WORDS})
    INSERT INTO tickets_searchdocument (ticket_id, words)
    VALUES (%(ticket)s, array_to_tsvector(%(words)s::text[]))
    ON CONFLICT (ticket_id) DO UPDATE SET words = EXCLUDED.words
"""  # noqa: S608 -- made of constants
UNUSED_WORDS = """
    SELECT word FROM unnest(%s::text[]) AS known (word)
    WHERE NOT EXISTS (SELECT FROM tickets_searchdocument WHERE words @@ quote_literal(word)::tsquery)
"""


def add_words(ticket: Ticket, *texts: str) -> None:
    """Add the words of texts to the search document of a locked ticket."""
    write_words(ADD_WORDS, ticket, texts)


def replace_words(ticket: Ticket) -> None:
    """Write a locked ticket's search document again: the words of its title, its description, and its comments by age."""
    write_words(REPLACE_WORDS, ticket, chain([ticket.title, ticket.description], read_comments(ticket)))


def read_comments(ticket: Ticket) -> Iterator[str]:
    """Yield the texts of the first comments, up to MAXIMUM_COMMENT_PAGES * COMMENTS_PER_QUERY."""
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
    lexicon = sorted(filter(has_parts, kept))
    parameters: dict[str, Any] = {
        "ticket": ticket.pk,
        "customer": ticket.created_by_id,
        "words": kept,
        "lexicon": lexicon,
        "maximum": MAXIMUM_DOCUMENT_WORDS,
    }
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)


def insert_words(words: Iterable[str]) -> None:
    """Insert the words of search documents that were written without this module."""
    with connection.cursor() as cursor:
        cursor.execute(INSERT_WORDS, {"lexicon": sorted(filter(has_parts, words)), "customer": None})


def rebuild_index() -> Iterator[int]:
    """Index every ticket again, each in a transaction of its own; yields the number done so far after each range."""
    last_id = done = 0
    while ids := list(Ticket.objects.filter(id__gt=last_id).order_by("id").values_list("id", flat=True)[:RANGE_SIZE]):
        for ticket_id in ids:
            with transaction.atomic():
                for ticket in Ticket.objects.locked().filter(pk=ticket_id):
                    replace_words(ticket)
        last_id, done = ids[-1], done + len(ids)
        yield done


def delete_unused_words() -> int:
    """Delete the words that no ticket contains any more, in short transactions; returns their number.

    Ends early when the table stays locked by writes or a vacuum: the rest is deleted the next time.
    """
    with connection.cursor() as cursor:
        # Otherwise each of the many lookups below would read the index's pending list.
        cursor.execute("SELECT gin_clean_pending_list('tickets_search_words')")
    last_word, deleted = "", 0
    words = SearchWord.objects.order_by("word").values_list("word", flat=True)
    while known := list(words.filter(word__gt=last_word)[:RANGE_SIZE]):
        try:
            deleted += delete_if_unused(find_unused_words(known, timeout_ms=LOOKUP_TIMEOUT_MS))
        except OperationalError as error:
            if isinstance(error.__cause__, LockNotAvailable):
                break
            if not isinstance(error.__cause__, QueryCanceled):
                raise
            logger.warning("Unused search words not deleted: their lookup timed out.")
        last_word = known[-1]
    return deleted


@transaction.atomic
def find_unused_words(words: Sequence[str], *, timeout_ms: int) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL enable_seqscan = off; SET LOCAL statement_timeout = {timeout_ms}")
        cursor.execute(UNUSED_WORDS, [list(words)])
        return [word for (word,) in cursor.fetchall()]


@transaction.atomic
def delete_if_unused(words: Sequence[str]) -> int:
    """Delete the words that are unused once no write of words is in progress; returns their number.

    Raises OperationalError when the lock or the lookup times out.
    """
    if not words:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
        cursor.execute("LOCK TABLE tickets_searchword IN SHARE ROW EXCLUSIVE MODE")
    unused = find_unused_words(words, timeout_ms=LOCKED_STATEMENT_TIMEOUT_MS)
    deleted, _ = SearchWord.objects.filter(word__in=unused).delete()
    return deleted


# The words of texts


def words_in(*texts: str) -> list[str]:
    """Return the distinct words to index for texts, in their order."""
    return list(dict.fromkeys(chain.from_iterable(map(indexed_words, map(fold, texts)))))


def indexed_words(text: str) -> Iterator[str]:
    """Yield the words of a folded text, long ones in pieces, and the pairs of characters of runs without spaces."""
    if text.isascii():
        yield from split_long_words(ASCII_WORD.findall(text))
    else:
        yield from split_long_words(WORD.findall(text))
        yield from PICTOGRAPH.findall(text)
        for run in RUN.findall(text):
            yield from pairs_of(run)
            # A query of a single character is a prefix: the last one begins no pair.
            yield run[-1]
    yield from words_with_signs(text)


def words_with_signs(text: str) -> list[str]:
    return [
        word
        for word in chain(WORD_WITH_SIGN.findall(text), WORD_WITH_DOT.findall(text))
        if len(word) <= MAXIMUM_WORD_LENGTH
    ]


def split_long_words(words: Iterable[str]) -> Iterator[str]:
    """Yield the words, those longer than MAXIMUM_WORD_LENGTH in pieces."""
    for word in words:
        if len(word) <= MAXIMUM_WORD_LENGTH:
            yield word
        else:
            for start in range(0, len(word) - PIECE_STEP, PIECE_STEP):
                yield word[start : start + MAXIMUM_WORD_LENGTH]


def has_parts(word: str) -> bool:
    """Return whether an indexed word is also found by part and inflection, unlike pairs, pictographs and words with signs."""
    return WORD.fullmatch(word) is not None


def pairs_of(run: str) -> Iterator[str]:
    return (run[start : start + 2] for start in range(len(run) - 1))


def fold(text: str) -> str:
    """Return text in lower case, without accents and invisible characters: "Łódź" becomes "lodz".

    Compatibility forms (full-width letters, superscripts) become ordinary letters. Folding is idempotent.
    """
    if text.isascii():
        return text.lower()
    lower = unicodedata.normalize("NFKD", text).casefold()
    return unicodedata.normalize("NFC", FOLDABLE.sub(lambda match: fold_character(match[0]), lower))


@lru_cache(maxsize=4096)
def fold_character(char: str) -> str:
    """Fold a character of decomposed lower-case text; empty for an accent or an invisible character."""
    if unicodedata.combining(char) or is_invisible(char) or char in SKIN_TONES:
        return ""
    if plain := PLAIN_SPELLINGS.get(char):
        return plain
    name = LATIN_LETTER.fullmatch(unicodedata.name(char, ""))
    return name[1].lower() if name else char


def is_invisible(char: str) -> bool:
    """Return whether it is a format character (soft hyphen, zero-width space or joiner) or a variation selector."""
    return unicodedata.category(char) == "Cf" or unicodedata.name(char, "").startswith("VARIATION SELECTOR")
