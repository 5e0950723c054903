"""The history of one demo ticket: the calls of actions that lead to its present state."""

from collections.abc import Sequence
from datetime import timedelta
from random import Random
from typing import NamedTuple

from helpdesk.core.json import dumps
from helpdesk.demo.conversations import Line, conversation
from helpdesk.demo.texts import Text, Texts
from helpdesk.tickets.models import EventKind, Priority, Status

# Weights of the present statuses, in the order of Status: of the newest 4 % of the tickets, of those up to 15 %, of all others.
STATUS_WEIGHTS = ((0.04, (45, 30, 20, 5)), (0.15, (15, 30, 35, 20)), (1.0, (4, 7, 24, 65)))
PRIORITIES = [Priority.LOW] * 4 + [Priority.MEDIUM] * 10 + [Priority.HIGH] * 5 + [Priority.URGENT] * 2
MINUTE, HOUR, DAY = 60, 3600, 86400
MINIMUM_WAIT_SECONDS = 20


class Participant(NamedTuple):
    """A user; `recorded` is how an event records them as assignee, in JSON."""

    id: int
    recorded: str
    first_name: Text
    texts: Texts


class Participants(NamedTuple):
    customers: Sequence[Participant]
    agents: Sequence[Participant]


class Change(NamedTuple):
    """A field's old and new value, as JSON; None for no assignee."""

    kind: EventKind
    old: str | None
    new: str


class Step(NamedTuple):
    """One call of an action, some time after the previous one: it adds a comment or changes fields."""

    wait: timedelta
    actor: Participant
    comment: str | None
    changes: Sequence[Change] = ()


class SlotValues(dict[str, str]):
    """The values of a ticket's slots, chosen at first use; adds the words of those used to `words`."""

    def __init__(self, rng: Random, words: set[str], customer: Participant, agent: Participant) -> None:
        super().__init__()
        self.rng = rng
        self.words = words
        self.options = customer.texts.slots
        self.names = {"customer": customer.first_name, "agent": agent.first_name}

    def __missing__(self, slot: str) -> str:
        value = self.names.get(slot) or self.rng.choice(self.options[slot])
        self[slot] = value.text
        self.words |= value.words
        return value.text

    def set_agent(self, agent: Participant) -> None:
        self.names["agent"] = agent.first_name
        self.pop("agent", None)


class TicketHistory:
    """A ticket with its present fields, the `steps` that led to them, and its search words."""

    def __init__(self, rng: Random, participants: Participants, *, status: Status, comments: int) -> None:
        self.rng = rng
        self.customer, self.agents = rng.choice(participants.customers), participants.agents
        self.agent = rng.choice(self.agents)
        self.words: set[str] = set()
        self.slot_values = SlotValues(rng, self.words, self.customer, self.agent)
        self.first_priority = self.priority = rng.choice(PRIORITIES)
        self.status = Status.OPEN
        self.assignee: Participant | None = None
        self.steps: list[Step] = []

        texts = self.customer.texts
        topic = rng.choice(texts.topics)
        problem = rng.choice(topic.problems)
        self.title, self.description = self.fill_slots(problem.title), self.fill_slots(problem.description)
        is_solved = status in {Status.RESOLVED, Status.CLOSED}
        lines = conversation(rng, texts, topic, problem, length=comments, solved=is_solved)
        first_answer = next((number for number, line in enumerate(lines) if line.by_agent), len(lines))
        self.add_comments(lines[:first_answer])
        self.triage(status)
        self.add_comments(lines[first_answer:])
        self.change(self.agent, status=status, longest_wait_seconds=6 * DAY)

    def fill_slots(self, text: Text) -> str:
        self.words |= text.words
        return text.text.format_map(self.slot_values)

    def triage(self, status: Status) -> None:
        """Set priority and assignee, and start work unless the ticket is still open."""
        if self.rng.random() < 0.12:
            self.change(self.rng.choice(self.agents), priority=self.rng.choice(list(Priority)))
        if status == Status.OPEN:
            if self.rng.random() < 0.35:
                self.change(self.rng.choice(self.agents), assignee=self.agent)
        elif self.rng.random() < 0.7:
            self.change(self.agent, status=Status.IN_PROGRESS, assignee=self.agent)
        else:
            self.change(self.rng.choice(self.agents), assignee=self.agent)
            self.change(self.agent, status=Status.IN_PROGRESS)

    def add_comments(self, lines: Sequence[Line]) -> None:
        for number, line in enumerate(lines):
            if number and line.by_agent and self.assignee and self.rng.random() < 0.03:
                self.reassign()
            author = self.agent if line.by_agent else self.customer
            self.steps.append(Step(self.random_wait(30 * HOUR), author, self.fill_slots(line.text)))
            self.change(self.agent, status=line.status)

    def reassign(self) -> None:
        former, self.agent = self.agent, self.rng.choice(self.agents)
        self.change(former, assignee=self.agent)
        self.slot_values.set_agent(self.agent)

    def change(
        self,
        actor: Participant,
        *,
        status: Status | None = None,
        priority: Priority | None = None,
        assignee: Participant | None = None,
        longest_wait_seconds: int = 5 * MINUTE,
    ) -> None:
        """Set the fields that differ, as one call of update_ticket does."""
        changes = []
        if status is not None and status != self.status:
            changes.append(Change(EventKind.STATUS_CHANGED, json(self.status), json(status)))
            self.status = status
        if priority is not None and priority != self.priority:
            changes.append(Change(EventKind.PRIORITY_CHANGED, json(name_of(self.priority)), json(name_of(priority))))
            self.priority = priority
        if assignee is not None and assignee != self.assignee:
            former = self.assignee.recorded if self.assignee else None
            changes.append(Change(EventKind.ASSIGNEE_CHANGED, former, assignee.recorded))
            self.assignee = assignee
        if changes:
            self.steps.append(Step(self.random_wait(longest_wait_seconds), actor, None, changes))

    def random_wait(self, longest_seconds: int) -> timedelta:
        """Return a wait that is usually far shorter than the longest."""
        return timedelta(seconds=MINIMUM_WAIT_SECONDS + longest_seconds * self.rng.random() ** 3)


def present_status(rng: Random, *, age: float) -> Status:
    """Return a status that fits a ticket's relative age: 0 for the newest, 1 for the oldest."""
    weights = next(weights for oldest, weights in STATUS_WEIGHTS if age <= oldest)
    return rng.choices(list(Status), weights)[0]


def name_of(priority: Priority) -> str:
    return priority.name.lower()


def json(value: object) -> str:
    return dumps(value).decode()
