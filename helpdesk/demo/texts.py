"""The texts of demo tickets: templates with slots, read from texts/<language>/.

In a file, each paragraph is a block, and each of its lines a part ("problem: …", "text: …"); an indented line continues
the one above, ¶ begins a new paragraph of the text. phrases.txt fits every topic; slots.txt lists the values of each {slot}.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from helpdesk.tickets.search_index import words_in
from helpdesk.users.models import Language

FOLDER = Path(__file__).parent / "texts"
GENERAL_FILES = {"phrases", "slots"}
# Filled in for each ticket, and not from slots.txt.
PERSONAL_SLOTS = ("customer", "agent")
SLOT = re.compile(r"\{(\w+)\}")

Block = dict[str, str]


class Text(NamedTuple):
    """A text, perhaps with {slots}, and the search words outside of them."""

    text: str
    words: frozenset[str]


class Pair(NamedTuple):
    """A comment and the reply to it."""

    first: Text
    second: Text


class Problem(NamedTuple):
    title: Text
    description: Text
    question: Pair
    solution: Text


class Topic(NamedTuple):
    """Problems of one kind, and questions that fit all of them."""

    problems: Sequence[Problem]
    questions: Sequence[Pair]


class Texts(NamedTuple):
    """All texts of one language."""

    topics: Sequence[Topic]
    acknowledgements: Sequence[Text]
    additions: Sequence[Text]
    reminders: Sequence[Pair]
    thanks: Sequence[Text]
    relapses: Sequence[Text]
    second_solutions: Sequence[Text]
    slots: Mapping[str, Sequence[Text]]


@cache
def texts_in(language: Language) -> Texts:
    folder = FOLDER / language.value
    phrases = read_blocks(folder / "phrases.txt")
    (slots,) = read_blocks(folder / "slots.txt")
    return Texts(
        topics=[read_topic(path) for path in sorted(folder.glob("*.txt")) if path.stem not in GENERAL_FILES],
        acknowledgements=texts_named("acknowledgement", phrases),
        additions=texts_named("addition", phrases),
        reminders=pairs_named("nudge", "progress", phrases),
        thanks=texts_named("thanks", phrases),
        relapses=texts_named("relapse", phrases),
        second_solutions=texts_named("retry", phrases),
        slots={
            name: [text_with_words(value.strip()) for value in values.split("|")] for name, values in slots.items()
        },
    )


def read_topic(path: Path) -> Topic:
    blocks = read_blocks(path)
    problems = [block for block in blocks if "problem" in block]
    return Topic(
        problems=[
            Problem(
                title=text_with_words(block["problem"]),
                description=text_with_words(block["text"]),
                question=Pair(text_with_words(block["question"]), text_with_words(block["answer"])),
                solution=text_with_words(block["solution"]),
            )
            for block in problems
        ],
        questions=pairs_named("question", "answer", (block for block in blocks if block not in problems)),
    )


def texts_named(name: str, blocks: Iterable[Block]) -> list[Text]:
    return [text_with_words(block[name]) for block in blocks if name in block]


def pairs_named(first: str, second: str, blocks: Iterable[Block]) -> list[Pair]:
    return [Pair(text_with_words(block[first]), text_with_words(block[second])) for block in blocks if first in block]


def text_with_words(text: str) -> Text:
    return Text(text, frozenset(words_in(SLOT.sub(" ", text))))


def read_blocks(path: Path) -> list[Block]:
    paragraphs = path.read_text(encoding="utf-8").strip().split("\n\n")
    return [dict(parts_of(paragraph.replace("\n  ", " "))) for paragraph in paragraphs]


def parts_of(paragraph: str) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each part of a block."""
    for part in re.split(r"\n(?=\w+: )", paragraph):
        name, text = part.split(": ", 1)
        yield name, text.strip().replace(" ¶ ", "\n\n")
