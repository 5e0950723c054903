"""Who says what on a ticket, so that it reads like a conversation."""

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import NamedTuple

from helpdesk.demo.dice import Dice
from helpdesk.demo.texts import Pair, Problem, Template, Texts, Topic

# A solution, the relapse, and the second solution.
ROOM_FOR_RELAPSE = 3


class Effect(Enum):
    """What the agent does to the ticket right after a line."""

    NONE = 0
    RESOLVE = 1
    REOPEN = 2


class Line(NamedTuple):
    by_agent: bool
    template: Template
    effect: Effect = Effect.NONE


def conversation(dice: Dice, texts: Texts, topic: Topic, problem: Problem, *, length: int, solved: bool) -> list[Line]:
    """Return that many lines; those of a solved ticket end with its solution, if there are any at all."""
    ending = list(ending_with(problem.solution, dice, texts, room=length)) if solved else []
    questions = [problem.question, *dice.shuffled(topic.questions)]
    return [*discussion(dice, texts, questions, length=length - len(ending)), *ending]


def ending_with(solution: Template, dice: Dice, texts: Texts, *, room: int) -> Iterator[Line]:
    if room == 0:
        return
    yield Line(by_agent=True, template=solution, effect=Effect.RESOLVE)
    if room >= ROOM_FOR_RELAPSE and dice.happens(0.08):
        yield Line(by_agent=False, template=dice.choose(texts.relapses), effect=Effect.REOPEN)
        yield Line(by_agent=True, template=dice.choose(texts.second_solutions), effect=Effect.RESOLVE)
        room -= 2
    if room > 1 and dice.happens(0.6):
        yield Line(by_agent=False, template=dice.choose(texts.thanks))


def discussion(dice: Dice, texts: Texts, questions: Sequence[Pair], *, length: int) -> Iterator[Line]:
    """Yield questions and answers, then reminders and news; an odd line goes first."""
    if length % 2:
        yield opening(dice, texts)
    asked = questions[: length // 2]
    for question, answer in asked:
        yield Line(by_agent=True, template=question)
        yield Line(by_agent=False, template=answer)
    for _number in range(length // 2 - len(asked)):
        nudge, progress = dice.choose(texts.reminders)
        yield Line(by_agent=False, template=nudge)
        yield Line(by_agent=True, template=progress)


def opening(dice: Dice, texts: Texts) -> Line:
    if dice.happens(0.5):
        return Line(by_agent=True, template=dice.choose(texts.acknowledgements))
    return Line(by_agent=False, template=dice.choose(texts.additions))
