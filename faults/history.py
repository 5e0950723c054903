"""Checks what was recorded during a workload against the promises, by SQL of its own and not by the product's code."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from faults.workload import Workload

EVENTS = """
    SELECT event.id, event.uuid::text, event.kind, event.actor_id, ticket.created_by_id, ticket.assigned_to_id,
        comment.content, event.new
    FROM tickets_ticketevent AS event
    JOIN tickets_ticket AS ticket ON ticket.id = event.ticket_id
    LEFT JOIN tickets_comment AS comment ON comment.id = event.comment_id
    WHERE event.id > %s ORDER BY event.id
"""
EMAILS = "SELECT event_id, recipient_id, state, uuid::text FROM emails_email WHERE event_id > %s"
NOTIFICATIONS = """
    SELECT users_user.username, users_user.id, notification.seq, notification.frame_id, event.uuid::text
    FROM notifications_notification AS notification
    JOIN users_user ON users_user.id = notification.user_id
    JOIN tickets_ticketevent AS event ON event.id = notification.frame_id
    ORDER BY users_user.id, notification.seq
"""
AGENTS = "SELECT id FROM users_user WHERE role = 'agent' AND is_active"


class Event(NamedTuple):
    """An event, with what determines its recipients."""

    id: int
    uuid: str
    kind: str
    actor_id: int
    creator_id: int
    assignee_id: int | None
    comment: str | None
    new: object

    def recipients(self, agents: Collection[int]) -> list[int]:
        """Return the sorted ids of the users who are notified."""
        match self.kind:
            case "ticket_created":
                return sorted(agents)
            case "status_changed":
                return [self.creator_id]
            case "comment_added":
                return sorted({self.creator_id, self.assignee_id or self.creator_id} - {self.actor_id})
            case _:
                return []


class Notification(NamedTuple):
    username: str
    user_id: int
    seq: int
    event_id: int
    uuid: str


class BrokenPromiseError(AssertionError):
    """A promise of docs/reliability.md that was not kept."""


class History:
    """What is recorded after everything of a workload was delivered."""

    def __init__(self, workload: Workload) -> None:
        sql = workload.site.sql
        self.workload = workload
        self.events = [Event(*row) for row in sql(EVENTS, workload.last_event_before)]
        self.emails = sql(EMAILS, workload.last_event_before)
        self.notifications = [Notification(*row) for row in sql(NOTIFICATIONS)]
        self.agents = {user_id for (user_id,) in sql(AGENTS)}
        self.mails = workload.site.mails("accepted")[workload.mails_before :]

    def check(self, *, duplicates: int = 0, other_states: Mapping[str, str] | None = None) -> None:
        """Raise BrokenPromiseError unless all promises were kept.

        `duplicates` is how many messages a killed worker may have sent twice; `other_states` maps the uuids of those
        e-mails that must not end as `sent` to their states.
        """
        broken = [
            *self.lost_writes(),
            *self.wrong_recipients_of_emails(),
            *self.wrong_deliveries(duplicates=duplicates, other_states=other_states or {}),
            *self.wrong_notifications(),
            *self.wrongly_applied(),
        ]
        if broken:
            raise BrokenPromiseError("\n".join(broken[:20]))

    def lost_writes(self) -> Iterator[str]:
        """P5: an acknowledged write is recorded once, also one that was repeated until it was acknowledged."""
        recorded = Counter(text for event in self.events if (text := text_of(event)))
        for write in self.workload.writes:
            if write.kind in {"ticket", "comment"} and write.is_acknowledged and recorded[write.text] != 1:
                yield f"P5: {write.kind} {write.text} was acknowledged and is recorded {recorded[write.text]} times"
        changes = sum(event.kind == "status_changed" for event in self.events)
        acknowledged = sum(write.kind == "status" and write.is_acknowledged for write in self.workload.writes)
        if changes < acknowledged:
            yield f"P5: {acknowledged} changes of status were acknowledged, {changes} are recorded"

    def wrong_recipients_of_emails(self) -> Iterator[str]:
        """P1: the outbox has one row for each recipient of each event, and no other."""
        by_event: dict[int, list[int]] = defaultdict(list)
        for event_id, recipient_id, _state, _uuid in self.emails:
            by_event[event_id].append(recipient_id)
        for event in self.events:
            found, expected = sorted(by_event[event.id]), event.recipients(self.agents)
            if found != expected:
                yield f"P1: event {event.id} {event.kind} has e-mails to {found} instead of {expected}"

    def wrong_deliveries(self, *, duplicates: int, other_states: Mapping[str, str]) -> Iterator[str]:
        """P1: every e-mail has arrived, more than once only if a worker was killed, and no unknown one has."""
        arrived = Counter(mail["id"].strip("<>").partition("@")[0] for mail in self.mails)
        states = {uuid: state for _event, _recipient, state, uuid in self.emails}
        for uuid, state in states.items():
            if state != other_states.get(uuid, "sent"):
                yield f"P1: e-mail {uuid} is {state}"
            if state == "sent" and not arrived[uuid]:
                yield f"P1: e-mail {uuid} is marked as sent and has not arrived"
        if unknown := set(arrived) - set(states):
            yield f"P1: mails arrived that are not in the outbox: {sorted(unknown)}"
        twice = sum(count - 1 for count in arrived.values())
        if twice > duplicates:
            yield f"P1: {twice} mails arrived once too often, {duplicates} may"

    def wrong_notifications(self) -> Iterator[str]:
        """P2: each recipient of an event has one notification of it, and the numbers of a stream have no gaps."""
        by_event: dict[int, list[int]] = defaultdict(list)
        last: dict[int, int] = {}
        for notification in self.notifications:
            user_id, seq = notification.user_id, notification.seq
            by_event[notification.event_id].append(user_id)
            if seq != last.setdefault(user_id, seq - 1) + 1:
                yield f"P2: the stream of {notification.username} goes from {last[user_id]} to {seq}"
            last[user_id] = seq
        for event in self.events:
            found, expected = sorted(by_event[event.id]), event.recipients(self.agents)
            if found != expected:
                yield f"P2: event {event.id} {event.kind} has notifications to {found} instead of {expected}"

    def wrongly_applied(self) -> Iterator[str]:
        """P2: every client has applied its stream from its first connection on, each event once and in order."""
        for client in self.workload.clients:
            stream = [(row.seq, row.uuid) for row in self.notifications if row.username == client.username]
            expected = [(seq, uuid) for seq, uuid in stream if seq >= (client.first or 0)]
            applied = [(event.seq, event.id) for event in client.applied]
            if applied != expected:
                yield f"P2: {client.username} has applied {applied[-5:]} instead of {expected[-5:]}"
            if client.resyncs:
                yield f"P2: {client.username} had to resync: {client.resyncs}"


def text_of(event: Event) -> str | None:
    """Return the writer's unique text in what an event records."""
    if event.kind == "ticket_created" and isinstance(event.new, dict):
        return str(event.new["title"])
    return event.comment
