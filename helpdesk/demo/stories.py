"""What happens to one ticket, from its opening to the present."""

from collections.abc import Sequence
from typing import NamedTuple

from helpdesk.core.json import dumps
from helpdesk.demo.conversations import Effect, Line, conversation
from helpdesk.demo.dice import Dice
from helpdesk.demo.moments import DAY, HOUR, MINUTE, SECOND, Duration
from helpdesk.demo.texts import Filling, Template, Texts
from helpdesk.tickets.models import EventKind, Priority, Status

# How likely a ticket is in each state by now: the newest, the recent, and all the others.
FATES = (
    (0.04, ((Status.OPEN, 0.45), (Status.IN_PROGRESS, 0.75), (Status.RESOLVED, 0.95), (Status.CLOSED, 1.0))),
    (0.15, ((Status.OPEN, 0.15), (Status.IN_PROGRESS, 0.45), (Status.RESOLVED, 0.80), (Status.CLOSED, 1.0))),
    (1.00, ((Status.OPEN, 0.04), (Status.IN_PROGRESS, 0.11), (Status.RESOLVED, 0.35), (Status.CLOSED, 1.0))),
)
STATUS_JSON = {status: dumps(status.value) for status in Status}
PRIORITY_JSON = {priority: dumps(priority.name.lower()) for priority in Priority}
PRIORITIES = (Priority.LOW,) * 4 + (Priority.MEDIUM,) * 10 + (Priority.HIGH,) * 5 + (Priority.URGENT,) * 2


class Person(NamedTuple):
    """A user who takes part; `recorded` is how the ledger writes them as an assignee, in JSON."""

    id: int
    recorded: bytes
    first_name: Filling
    texts: Texts


class Change(NamedTuple):
    """A field's old and new value, as JSON; None is nobody."""

    kind: EventKind
    old: bytes | None
    new: bytes | None


class Step(NamedTuple):
    """One call of an action: either something said or some changes, a while after the step before."""

    wait: Duration
    actor: Person
    said: str | None
    changes: Sequence[Change]


class Fillings(dict[str, str]):
    """The slots of one ticket, each filled at its first use; `words` collects the words of what was used."""

    def __init__(self, dice: Dice, customer: Person) -> None:
        super().__init__()
        self.dice = dice
        self.options = customer.texts.slots
        self.people = {"customer": customer.first_name}
        self.words: list[frozenset[bytes]] = []

    def __missing__(self, slot: str) -> str:
        filling = self.people.get(slot) or self.dice.choose(self.options[slot])
        self[slot] = filling.text
        self.words.append(filling.words)
        return filling.text

    def introduce(self, agent: Person) -> None:
        """Let the {agent} of the texts be that one from here on."""
        self.people["agent"] = agent.first_name
        self.pop("agent", None)


class Story:
    """A ticket in the making; at its end the fields are those of the present, and `steps` led there."""

    def __init__(self, dice: Dice, customer: Person, agents: Sequence[Person]) -> None:
        self.dice = dice
        self.customer = customer
        self.agents = agents
        self.agent = dice.choose(agents)
        self.fillings = Fillings(dice, customer)
        self.fillings.introduce(self.agent)
        self.words = self.fillings.words
        self.first_priority = self.priority = dice.choose(PRIORITIES)
        self.status = Status.OPEN
        self.assignee: Person | None = None
        self.steps: list[Step] = []
        self.title = self.description = ""

    def tell(self, fate: Status, *, comments: int) -> None:
        texts = self.customer.texts
        topic = self.dice.choose(texts.topics)
        problem = self.dice.choose(topic.problems)
        self.title, self.description = self.written(problem.title), self.written(problem.description)
        is_solved = fate in {Status.RESOLVED, Status.CLOSED}
        lines = conversation(self.dice, texts, topic, problem, length=comments, solved=is_solved)
        before = next((number for number, line in enumerate(lines) if line.by_agent), len(lines))
        self.say(lines[:before])
        self.take_up(fate)
        self.say(lines[before:])
        self.finish(fate)

    def written(self, template: Template) -> str:
        self.words.append(template.words)
        return template.text.format_map(self.fillings) if template.has_slots else template.text

    def take_up(self, fate: Status) -> None:
        """Let the agents sort the new ticket: its priority, who cares for it, and that they have begun."""
        if self.dice.happens(0.12):
            self.change(self.dice.choose(self.agents), priority=self.dice.choose(tuple(Priority)))
        if fate == Status.OPEN:
            if self.dice.happens(0.35):
                self.change(self.dice.choose(self.agents), assignee=self.agent)
        elif self.dice.happens(0.7):
            self.change(self.agent, status=Status.IN_PROGRESS, assignee=self.agent)
        else:
            self.change(self.dice.choose(self.agents), assignee=self.agent)
            self.change(self.agent, status=Status.IN_PROGRESS)

    def say(self, lines: Sequence[Line]) -> None:
        for number, line in enumerate(lines):
            if number and line.by_agent and self.assignee and self.dice.happens(0.03):
                self.hand_over()
            speaker = self.agent if line.by_agent else self.customer
            self.steps.append(Step(self.a_while(30 * HOUR), speaker, self.written(line.template), ()))
            if line.effect == Effect.RESOLVE:
                self.change(self.agent, status=Status.RESOLVED)
            elif line.effect == Effect.REOPEN:
                self.change(self.agent, status=Status.IN_PROGRESS)

    def hand_over(self) -> None:
        former, self.agent = self.agent, self.dice.choose(self.agents)
        self.change(former, assignee=self.agent)
        self.fillings.introduce(self.agent)

    def finish(self, fate: Status) -> None:
        self.change(self.agent, status=fate, wait=self.a_while(6 * DAY))

    def change(
        self,
        actor: Person,
        *,
        status: Status | None = None,
        priority: Priority | None = None,
        assignee: Person | None = None,
        wait: Duration | None = None,
    ) -> None:
        """Set what differs, as one call of update_ticket does."""
        changes = []
        if status is not None and status != self.status:
            changes.append(Change(EventKind.STATUS_CHANGED, STATUS_JSON[self.status], STATUS_JSON[status]))
            self.status = status
        if priority is not None and priority != self.priority:
            changes.append(Change(EventKind.PRIORITY_CHANGED, PRIORITY_JSON[self.priority], PRIORITY_JSON[priority]))
            self.priority = priority
        if assignee is not None and assignee != self.assignee:
            former = self.assignee.recorded if self.assignee else None
            changes.append(Change(EventKind.ASSIGNEE_CHANGED, former, assignee.recorded))
            self.assignee = assignee
        if changes:
            wait = wait or self.a_while(5 * MINUTE)
            self.steps.append(Step(wait, actor, None, changes))

    def a_while(self, longest: Duration) -> Duration:
        """Return a time that is mostly far below the longest."""
        return 20 * SECOND + int(longest * self.dice.roll() ** 3)


def fate_of(dice: Dice, *, age: float) -> Status:
    """Return the present state of a ticket by its age: 0 for the newest, 1 for the oldest."""
    luck = dice.roll()
    chances = next(chances for oldest, chances in FATES if age <= oldest)
    return next(status for status, chance in chances if luck < chance)
