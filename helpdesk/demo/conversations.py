"""Which comments a demo ticket has, so that it reads like a conversation."""

from collections.abc import Iterator, Sequence
from random import Random
from typing import NamedTuple

from helpdesk.demo.texts import Pair, Problem, Text, Texts, Topic
from helpdesk.tickets.models import Status

# A solution, the customer's objection, and the second solution.
LINES_OF_TWO_SOLUTIONS = 3


class Line(NamedTuple):
    """A comment, and the status that the agent sets right after it."""

    by_agent: bool
    text: Text
    status: Status | None = None


def conversation(
    rng: Random, texts: Texts, topic: Topic, problem: Problem, *, length: int, solved: bool
) -> list[Line]:
    """Return that many lines; those of a solved ticket end with its solution, if there are any at all."""
    ending = list(solution_lines(rng, texts, problem.solution, length=length)) if solved else []
    questions = [problem.question, *rng.sample(topic.questions, len(topic.questions))]
    return [*discussion(rng, texts, questions, length=length - len(ending)), *ending]


def solution_lines(rng: Random, texts: Texts, solution: Text, *, length: int) -> Iterator[Line]:
    """Yield at most that many lines with which a ticket is solved."""
    if length == 0:
        return
    yield Line(by_agent=True, text=solution, status=Status.RESOLVED)
    if length >= LINES_OF_TWO_SOLUTIONS and rng.random() < 0.08:
        yield Line(by_agent=False, text=rng.choice(texts.relapses), status=Status.IN_PROGRESS)
        yield Line(by_agent=True, text=rng.choice(texts.second_solutions), status=Status.RESOLVED)
        length -= 2
    if length > 1 and rng.random() < 0.6:
        yield Line(by_agent=False, text=rng.choice(texts.thanks))


def discussion(rng: Random, texts: Texts, questions: Sequence[Pair], *, length: int) -> Iterator[Line]:
    """Yield questions and answers, then reminders and replies; an odd line goes first."""
    if length % 2:
        by_agent = rng.random() < 0.5
        yield Line(by_agent, rng.choice(texts.acknowledgements if by_agent else texts.additions))
    asked = questions[: length // 2]
    for question, answer in asked:
        yield Line(by_agent=True, text=question)
        yield Line(by_agent=False, text=answer)
    for _number in range(length // 2 - len(asked)):
        reminder, reply = rng.choice(texts.reminders)
        yield Line(by_agent=False, text=reminder)
        yield Line(by_agent=True, text=reply)
