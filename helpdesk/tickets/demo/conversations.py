"""Who says what on a ticket, so that it reads like a conversation."""

from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

from helpdesk.tickets.demo.dice import Dice
from helpdesk.tickets.demo.texts import Template, Texts, Topic


class Effect(Enum):
    """What the agent does to the ticket right after a line."""

    NONE = 0
    RESOLVE = 1
    REOPEN = 2


class Line(NamedTuple):
    by_agent: bool
    template: Template
    effect: Effect = Effect.NONE


def conversation(dice: Dice, texts: Texts, topic: Topic, *, length: int, solved: bool) -> list[Line]:
    """Return that many lines; those of a solved ticket end with its solution, if there are any at all."""
    ending = list(solution_of(dice, texts, topic, room=length)) if solved else []
    return [*discussion(dice, texts, topic, length=length - len(ending)), *ending]


def solution_of(dice: Dice, texts: Texts, topic: Topic, *, room: int) -> Iterator[Line]:
    if room == 0:
        return
    solution, second_solution, *_others = dice.shuffled(topic.solutions)
    yield Line(by_agent=True, template=solution, effect=Effect.RESOLVE)
    if room > 2 and dice.happens(0.08):  # noqa: PLR2004 -- the relapse and its solution
        yield Line(by_agent=False, template=dice.choose(texts.relapses), effect=Effect.REOPEN)
        yield Line(by_agent=True, template=second_solution, effect=Effect.RESOLVE)
        room -= 2
    if room > 1 and dice.happens(0.6):
        yield Line(by_agent=False, template=dice.choose(texts.thanks))


def discussion(dice: Dice, texts: Texts, topic: Topic, *, length: int) -> Iterator[Line]:
    """Yield questions and answers, then reminders and news; an odd line goes first."""
    if length % 2:
        yield opening(dice, texts)
    questions = dice.shuffled(topic.questions)[: length // 2]
    for question, answer in questions:
        yield Line(by_agent=True, template=question)
        yield Line(by_agent=False, template=answer)
    for _number in range(length // 2 - len(questions)):
        nudge, progress = dice.choose(texts.reminders)
        yield Line(by_agent=False, template=nudge)
        yield Line(by_agent=True, template=progress)


def opening(dice: Dice, texts: Texts) -> Line:
    if dice.happens(0.5):
        return Line(by_agent=True, template=dice.choose(texts.acknowledgements))
    return Line(by_agent=False, template=dice.choose(texts.additions))
