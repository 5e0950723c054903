"""What people write: templates with slots, read from texts/<language>/.

A file has one block a paragraph and one part a line ("problem: …", "text: …"); an indented line continues the one
above, ¶ begins a new paragraph of the text. phrases.txt fits every topic, slots.txt says what a {slot} can be.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from helpdesk.demo.rows import Lexemes, lexemes_of
from helpdesk.tickets.words import words_in
from helpdesk.users.models import Language

FOLDER = Path(__file__).parent / "texts"
GENERAL_FILES = {"phrases", "slots"}
# Filled in for each ticket, and not from slots.txt.
PERSONAL_SLOTS = ("customer", "agent")
SLOT = re.compile(r"\{(\w+)\}")

Block = dict[str, str]


class Template(NamedTuple):
    """A text, perhaps with {slots}, and the words that a search finds in the rest of it."""

    text: str
    words: Lexemes
    has_slots: bool


class Filling(NamedTuple):
    """What a slot can be filled with, and its words."""

    text: str
    words: Lexemes


class Pair(NamedTuple):
    first: Template
    second: Template


class Problem(NamedTuple):
    """What a customer writes, what an agent asks about it first, and how it is solved."""

    title: Template
    description: Template
    question: Pair
    solution: Template


class Topic(NamedTuple):
    """Problems of one kind, and questions that fit all of them."""

    problems: Sequence[Problem]
    questions: Sequence[Pair]


class Texts(NamedTuple):
    """Everything that is said in one language."""

    topics: Sequence[Topic]
    acknowledgements: Sequence[Template]
    additions: Sequence[Template]
    reminders: Sequence[Pair]
    thanks: Sequence[Template]
    relapses: Sequence[Template]
    second_solutions: Sequence[Template]
    slots: Mapping[str, Sequence[Filling]]


@cache
def texts_in(language: Language) -> Texts:
    folder = FOLDER / language.value
    phrases = list(blocks((folder / "phrases.txt").read_text(encoding="utf-8")))
    return Texts(
        topics=[topic(path) for path in sorted(folder.glob("*.txt")) if path.stem not in GENERAL_FILES],
        acknowledgements=templates(phrases, "acknowledgement"),
        additions=templates(phrases, "addition"),
        reminders=pairs(phrases, "nudge", "progress"),
        thanks=templates(phrases, "thanks"),
        relapses=templates(phrases, "relapse"),
        second_solutions=templates(phrases, "retry"),
        slots=slots((folder / "slots.txt").read_text(encoding="utf-8")),
    )


def topic(path: Path) -> Topic:
    parts = list(blocks(path.read_text(encoding="utf-8")))
    problems = [block for block in parts if "problem" in block]
    return Topic(
        problems=[problem(block) for block in problems],
        questions=pairs((block for block in parts if block not in problems), "question", "answer"),
    )


def problem(block: Block) -> Problem:
    return Problem(
        title=template(block["problem"]),
        description=template(block["text"]),
        question=Pair(template(block["question"]), template(block["answer"])),
        solution=template(block["solution"]),
    )


def templates(parts: Iterable[Block], name: str) -> list[Template]:
    return [template(block[name]) for block in parts if name in block]


def pairs(parts: Iterable[Block], first: str, second: str) -> list[Pair]:
    return [Pair(template(block[first]), template(block[second])) for block in parts if first in block]


def slots(text: str) -> dict[str, list[Filling]]:
    (block,) = blocks(text)
    return {name: [filling(value.strip()) for value in values.split("|")] for name, values in block.items()}


def template(text: str) -> Template:
    return Template(text, lexemes_of(words_in(SLOT.sub(" ", text))), has_slots=SLOT.search(text) is not None)


def filling(text: str) -> Filling:
    return Filling(text, lexemes_of(words_in(text)))


def blocks(text: str) -> Iterator[Block]:
    for paragraph in text.strip().split("\n\n"):
        yield named_parts(paragraph.replace("\n  ", " "))


def named_parts(paragraph: str) -> Block:
    """Split a block at the lines that begin with a part's name."""
    _empty, *names_and_texts = re.split(r"^(\w+): ", paragraph, flags=re.MULTILINE)
    return {
        name: text.strip().replace(" ¶ ", "\n\n")
        for name, text in zip(names_and_texts[::2], names_and_texts[1::2], strict=True)
    }
