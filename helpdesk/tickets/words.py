"""The words that a text is found by: folded, of bounded length, and pairs of characters where no spaces part words."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple

from helpdesk.core.folding import fold

MAXIMUM_WORD_LENGTH = 32
# A longer word is indexed in pieces that overlap by half: each part of that many characters is in one of them.
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
ASCII_WORD = re.compile(r"[a-z0-9]+")
WORD = re.compile(rf"(?:{LETTER}++[{VOWEL_SIGNS}]*+)++")
RUN = re.compile(rf"[{CJK}]+")
PICTOGRAPH = re.compile(rf"[{PICTOGRAPHS}]")
# C++ and C#; .NET, and the extensions of files, which are not searched for with what is before them.
WORD_WITH_SIGN = re.compile(rf"(?<!{LETTER})(?:{LETTER}++\+\+|[a-z]#(?!{LETTER}))")
WORD_WITH_DOT = re.compile(rf"(?<!\.)\.(?!\d){LETTER}+")
SEARCHED_WITH_DOT = re.compile(rf"(?<![\w.])\.(?!\d){LETTER}+")
SIGNS = "+#."


class Searched(NamedTuple):
    """What a search is for: words by all their parts and inflections, what words begin with, and whole words."""

    words: list[str]
    beginnings: list[str]
    whole: list[str]


def words_in(*texts: str) -> list[str]:
    """Return the distinct words that texts are found by: those of the first text before those of the second."""
    return list(dict.fromkeys(chain.from_iterable(map(indexed_words, map(fold, texts)))))


def searched_in(text: str) -> Searched:
    """Return what a folded text is a search for."""
    with_signs = [
        word
        for word in chain(WORD_WITH_SIGN.findall(text), SEARCHED_WITH_DOT.findall(text))
        if len(word) <= MAXIMUM_WORD_LENGTH
    ]
    without_signs = {word.strip(SIGNS) for word in with_signs}
    runs = RUN.findall(text)
    pairs = chain.from_iterable(pairs_of(run) for run in runs if len(run) > 1)
    return Searched(
        words=[word for word in dict.fromkeys(WORD.findall(text)) if word not in without_signs],
        beginnings=[*with_signs, *(run for run in runs if len(run) == 1)],
        whole=[*dict.fromkeys(chain(pairs, PICTOGRAPH.findall(text)))],
    )


def ways_to_find(word: str) -> list[list[str]]:
    """Return lists of parts: a text has the word if it has all parts of one of them.

    A long word may be part of a longer one, and so in two of its pieces: then each PIECE_STEP characters are in one.
    """
    ways = [[word]] if len(word) <= MAXIMUM_WORD_LENGTH else []
    if len(word) > PIECE_STEP + 1:
        starts = [*range(0, len(word) - PIECE_STEP, PIECE_STEP), len(word) - PIECE_STEP]
        ways.append([word[start : start + PIECE_STEP] for start in starts])
    return ways


def indexed_words(text: str) -> Iterator[str]:
    """Yield the words of a folded text, long ones in pieces, and where no spaces part words its pairs of characters."""
    if text.isascii():
        yield from cut(ASCII_WORD.findall(text))
    else:
        yield from cut(WORD.findall(text))
        yield from PICTOGRAPH.findall(text)
        for run in RUN.findall(text):
            yield from pairs_of(run)
            # So that whatever character is searched for alone, a word begins with it.
            yield run[-1]
    yield from words_with_signs(text)


def words_with_signs(text: str) -> list[str]:
    return [
        word
        for word in chain(WORD_WITH_SIGN.findall(text), WORD_WITH_DOT.findall(text))
        if len(word) <= MAXIMUM_WORD_LENGTH
    ]


def pairs_of(run: str) -> Iterator[str]:
    return (run[start : start + 2] for start in range(len(run) - 1))


def cut(words: Iterable[str]) -> Iterator[str]:
    """Yield the words, those longer than MAXIMUM_WORD_LENGTH in pieces."""
    for word in words:
        if len(word) <= MAXIMUM_WORD_LENGTH:
            yield word
        else:
            for start in range(0, len(word) - PIECE_STEP, PIECE_STEP):
                yield word[start : start + MAXIMUM_WORD_LENGTH]


def has_parts(word: str) -> bool:
    """Whether an indexed word is also found by its parts and inflections: not so pairs, pictographs and signs."""
    return WORD.fullmatch(word) is not None
