"""Holds what happened during a flow against the promises, in the words of SQL and not of the product."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from faults.flow import Flow

LEDGER = """
    SELECT event.id, event.uuid::text, event.kind, event.actor_id, ticket.created_by_id, ticket.assigned_to_id,
        comment.content, event.new
    FROM tickets_ticketevent AS event
    JOIN tickets_ticket AS ticket ON ticket.id = event.ticket_id
    LEFT JOIN tickets_comment AS comment ON comment.id = event.comment_id
    WHERE event.id > %s ORDER BY event.id
"""
OUTBOX = "SELECT event_id, recipient_id, state, uuid::text FROM emails_email WHERE event_id > %s"
STREAMS = """
    SELECT users_user.username, users_user.id, notification.seq, notification.frame_id, event.uuid::text
    FROM notifications_notification AS notification
    JOIN users_user ON users_user.id = notification.user_id
    JOIN tickets_ticketevent AS event ON event.id = notification.frame_id
    ORDER BY users_user.id, notification.seq
"""
AGENTS = "SELECT id FROM users_user WHERE role = 'agent' AND is_active"


class Fact(NamedTuple):
    """An event, and what is needed to know who is told of it."""

    id: int
    uuid: str
    kind: str
    actor_id: int
    creator_id: int
    assignee_id: int | None
    comment: str | None
    new: object

    def audience(self, agents: Collection[int]) -> set[int]:
        match self.kind:
            case "ticket_created":
                return set(agents)
            case "status_changed":
                return {self.creator_id}
            case "comment_added":
                return {self.creator_id, self.assignee_id or self.creator_id} - {self.actor_id}
            case _:
                return set()


class Place(NamedTuple):
    """A notification in its user's stream."""

    username: str
    user_id: int
    seq: int
    event_id: int
    uuid: str


class BrokenPromiseError(AssertionError):
    """What was promised and did not come about."""


class History:
    """What is on record after a flow has settled."""

    def __init__(self, flow: Flow) -> None:
        sql = flow.world.sql
        self.flow = flow
        self.ledger = [Fact(*row) for row in sql(LEDGER, flow.begin)]
        self.outbox = sql(OUTBOX, flow.begin)
        self.places = [Place(*row) for row in sql(STREAMS)]
        self.agents = {user_id for (user_id,) in sql(AGENTS)}
        self.mails = flow.world.mails("accepted")[flow.mails_before :]

    def check(self, *, duplicates: int = 0, other_ends: Mapping[str, str] | None = None) -> None:
        """Raise BrokenPromiseError unless all promises were kept.

        `duplicates` is how many messages a killed worker may have sent twice; `other_ends` the state of those e-mails
        that were not to be `sent`, by uuid.
        """
        broken = [
            *self.lost_writes(),
            *self.wrong_outbox(),
            *self.wrong_mails(duplicates=duplicates, other_ends=other_ends or {}),
            *self.wrong_streams(),
            *self.wrongly_applied(),
        ]
        if broken:
            raise BrokenPromiseError("\n".join(broken[:20]))

    def lost_writes(self) -> Iterator[str]:
        """P5: what was acknowledged is on record, and once; what was repeated until it was, too."""
        recorded = Counter(text for fact in self.ledger if (text := text_of(fact)))
        for write in self.flow.writes:
            if write.kind in {"ticket", "comment"} and write.is_acknowledged and recorded[write.text] != 1:
                yield f"P5: {write.kind} {write.text} was acknowledged and is on record {recorded[write.text]} times"
        changes = sum(fact.kind == "status_changed" for fact in self.ledger)
        acknowledged = sum(write.kind == "status" and write.is_acknowledged for write in self.flow.writes)
        if changes < acknowledged:
            yield f"P5: {acknowledged} changes of status were acknowledged, {changes} are on record"

    def wrong_outbox(self) -> Iterator[str]:
        """P1: one row for each recipient of each event, and no other."""
        owed: dict[int, list[int]] = defaultdict(list)
        for event_id, recipient_id, _state, _uuid in self.outbox:
            owed[event_id].append(recipient_id)
        for fact in self.ledger:
            audience = sorted(fact.audience(self.agents))
            if sorted(owed[fact.id]) != audience:
                yield f"P1: event {fact.id} {fact.kind} is owed to {sorted(owed[fact.id])} instead of {audience}"

    def wrong_mails(self, *, duplicates: int, other_ends: Mapping[str, str]) -> Iterator[str]:
        """P1: every e-mail has arrived, more often only as a killed worker explains it, and none that nobody owed."""
        arrived = Counter(mail["id"].strip("<>").partition("@")[0] for mail in self.mails)
        states = {uuid: state for _event, _recipient, state, uuid in self.outbox}
        for uuid, state in states.items():
            if state != other_ends.get(uuid, "sent"):
                yield f"P1: e-mail {uuid} is {state}"
            if state == "sent" and not arrived[uuid]:
                yield f"P1: e-mail {uuid} is marked as sent and has not arrived"
        if unknown := set(arrived) - set(states):
            yield f"P1: mails arrived that nobody owed: {sorted(unknown)}"
        twice = sum(count - 1 for count in arrived.values())
        if twice > duplicates:
            yield f"P1: {twice} mails arrived once too often, {duplicates} may"

    def wrong_streams(self) -> Iterator[str]:
        """P2: each event is once in the stream of each who is told, and streams have no holes."""
        told: dict[int, list[int]] = defaultdict(list)
        last: dict[int, int] = {}
        for place in self.places:
            told[place.event_id].append(place.user_id)
            if place.seq != last.setdefault(place.user_id, place.seq - 1) + 1:
                yield f"P2: the stream of {place.username} goes from {last[place.user_id]} to {place.seq}"
            last[place.user_id] = place.seq
        for fact in self.ledger:
            audience = sorted(fact.audience(self.agents))
            if sorted(told[fact.id]) != audience:
                yield f"P2: event {fact.id} {fact.kind} was told to {sorted(told[fact.id])} instead of {audience}"

    def wrongly_applied(self) -> Iterator[str]:
        """P2: every client has applied its stream from where it came in, each event once and in order."""
        for listener in self.flow.listeners:
            stream = [(place.seq, place.uuid) for place in self.places if place.username == listener.username]
            expected = [place for place in stream if place[0] >= (listener.first or 0)]
            applied = [(event.seq, event.id) for event in listener.applied]
            if applied != expected:
                yield f"P2: {listener.username} has applied {applied[-5:]} instead of {expected[-5:]}"
            if listener.resyncs:
                yield f"P2: {listener.username} was told to resync: {listener.resyncs}"


def text_of(fact: Fact) -> str | None:
    """Return the writer's own text in what an event records."""
    if fact.kind == "ticket_created" and isinstance(fact.new, dict):
        return str(fact.new["title"])
    return fact.comment
