"""The relay process of the ledger: announces every committed event once, in order, to the apps above.

A request only commits its events and notifies the announcer through PostgreSQL; it does not wait for the receivers. Any
number of announcers may run; the leader, the one that holds an advisory lock, announces. It polls every second for events
whose notification was lost.
"""

import logging
import time
from contextlib import suppress
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.dispatch import Signal
from django.utils import timezone
from prometheus_client import Counter
from psycopg.errors import QueryCanceled

from helpdesk.core.cached_lists import find_unrecorded, invalidate
from helpdesk.core.redis import RedisError
from helpdesk.tickets.models import (
    ALL_LISTS,
    NOTIFY_CHANNEL,
    Ticket,
    TicketEvent,
    TicketEventQuerySet,
    list_scopes_with_tickets_of,
)
from helpdesk.users.models import User

logger = logging.getLogger(__name__)

EVENTS_ANNOUNCED = Counter("helpdesk_events_announced_total", "Events announced to the listening apps.", ["kind"])

ticket_events_committed = Signal()
"""Sent with `events`, a list of committed TicketEvents: every one, once, in order.

Receivers run inside the announcer's transaction: they write rows, with a number of queries that does not grow with the
number of events, and leave the rest to after_commit.
"""

# "HELP" in ASCII: a key that no other program uses in this database.
LEADER_LOCK = 0x48454C50
BATCH_SIZE = 200
# An event of a new ticket has a row for every agent, in the inbox and in the outbox.
EVENTS_TIMES_AGENTS = 10_000
POLL_SECONDS = 1.0
RETRY_SECONDS = 30.0
MILLISECOND = timedelta(milliseconds=1)


class Announcer:
    """Announces events until stop(); survives restarts of PostgreSQL and Redis."""

    def __init__(self) -> None:
        # No threading.Event: a signal handler that sets it during wait() would wait for the lock that wait() holds.
        self.is_stopped = False
        self.scopes_to_invalidate: set[str] = set()
        self.failed: set[int] = set()
        self.retry_at = 0.0

    def stop(self, *_: Any) -> None:
        self.is_stopped = True

    def run(self) -> None:
        while not self.is_stopped:
            try:
                self.announce_while_leader()
            except (OperationalError, InterfaceError) as error:
                logger.warning("PostgreSQL unavailable: %s", str(error).strip())
                connection.close()
            if not self.is_stopped:
                time.sleep(POLL_SECONDS)
        connection.close()

    def announce_while_leader(self) -> None:
        if not try_become_leader():
            return
        logger.info("Announcing events")
        # Notifications sent while there was no leader are lost, and with them the scopes to invalidate.
        self.scopes_to_invalidate.add(ALL_LISTS)
        while not self.is_stopped:
            self.announce_all()
            self.invalidate_lists()
            self.scopes_to_invalidate |= wait_for_notifications()

    def announce_all(self) -> None:
        """Announce all events that are due; one that fails is retried after RETRY_SECONDS and delays no other."""
        if time.monotonic() >= self.retry_at:
            self.failed.clear()
            self.retry_at = time.monotonic() + RETRY_SECONDS
        last_id = 0
        while events := list(self.unannounced().filter(pk__gt=last_id)[:BATCH_SIZE]):
            last_id = events[-1].pk
            size = events_per_transaction() if len(events) > 1 else 1
            for start in range(0, len(events), size):
                self.failed |= announce_or_halve(events[start : start + size])
            self.scopes_to_invalidate |= scopes_to_invalidate_for(events)
            if len(events) < BATCH_SIZE:
                # What has been committed since has sent a notification of its own.
                break

    def unannounced(self) -> TicketEventQuerySet:
        return TicketEvent.objects.unannounced().exclude(pk__in=self.failed)

    def invalidate_lists(self) -> None:
        """Invalidate what the writers could not; while Redis does not answer, it is left for the next call."""
        if not self.scopes_to_invalidate:
            return
        with suppress(RedisError):
            invalidate(*self.scopes_to_invalidate)
            self.scopes_to_invalidate.clear()


def try_become_leader() -> bool:
    """Take the lock of the leader, held until its connection ends, and listen; return False if another holds it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [LEADER_LOCK])
        is_leader = bool(cursor.fetchone()[0])
        if is_leader:
            # The leader queries every second. PostgreSQL ends the session of one that hangs, which frees the lock.
            cursor.execute(
                "SELECT set_config('idle_session_timeout', %s, false)",
                [f"{settings.ANNOUNCER_IDLE_TIMEOUT / MILLISECOND:.0f}"],
            )
            cursor.execute(f"LISTEN {NOTIFY_CHANNEL}")
    return is_leader


def wait_for_notifications() -> set[str]:
    """Wait up to POLL_SECONDS for a notification; return the scopes to invalidate that were in the payloads."""
    with connection.wrap_database_errors:
        found = connection.connection.notifies(timeout=POLL_SECONDS, stop_after=1)
        return {notification.payload for notification in found} - {""}


def events_per_transaction() -> int:
    agents: int = User.objects.active().agents().count()
    return max(1, EVENTS_TIMES_AGENTS // max(1, agents))


def announce_or_halve(events: list[TicketEvent]) -> set[int]:
    """Announce events in one transaction, or, if it fails, each half in its own; return the ids of those that fail alone."""
    if try_announce(events):
        return set()
    if len(events) == 1:
        return {events[0].pk}
    middle = len(events) // 2
    return announce_or_halve(events[:middle]) | announce_or_halve(events[middle:])


def try_announce(events: list[TicketEvent]) -> bool:
    """Send the events to the receivers and mark them announced, in one transaction.

    Return False if a receiver failed, or PostgreSQL cancelled a statement that took too long.
    """
    try:
        with transaction.atomic():
            ticket_events_committed.send(TicketEvent, events=events)
            TicketEvent.objects.filter(pk__in=[event.pk for event in events]).update(announced_at=timezone.now())
    except (OperationalError, InterfaceError) as error:
        if not isinstance(error.__cause__, QueryCanceled):
            raise
        logger.warning("Not announced: %d events, a statement took too long", len(events))
        return False
    except Exception:
        logger.exception("Not announced: events %s", [event.pk for event in events])
        return False
    for event in events:
        EVENTS_ANNOUNCED.labels(event.kind).inc()
        fields = {"request_id": event.request_id, "event": event.uuid, "ticket": event.ticket_id}
        logger.info("Announced: %s", event, extra=fields)
    return True


def scopes_to_invalidate_for(events: list[TicketEvent]) -> set[str]:
    """Return the scopes of the lists with the events' tickets, unless their writer has invalidated them.

    For deleted tickets, whose creator is unknown, it is the scope of all lists.
    """
    unrecorded = find_unrecorded([event.uuid.hex for event in events])
    ticket_ids = {event.ticket_id for event in events if event.uuid.hex in unrecorded}
    creators = dict(Ticket.objects.filter(pk__in=ticket_ids).values_list("pk", "created_by_id")) if ticket_ids else {}
    if ticket_ids - creators.keys():
        return {ALL_LISTS}
    return {scope for creator_id in creators.values() for scope in list_scopes_with_tickets_of(creator_id)}
