"""Announces every committed event once, in order, to the apps that listen.

A request only commits its events and notifies the announcer through PostgreSQL; it never waits for the apps that listen.
One process at a time, the holder of an advisory lock, takes the events that are not announced yet. A lost notification
costs a second, the time between two looks.
"""

import logging
import time
from contextlib import suppress
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.utils import timezone

from helpdesk.core.redis import RedisError
from helpdesk.core.versioned_cache import invalidate
from helpdesk.tickets.list_cache import USERS, scopes_with_tickets_of
from helpdesk.tickets.metrics import EVENTS_ANNOUNCED
from helpdesk.tickets.models import BELL, Ticket, TicketEvent, TicketEventQuerySet
from helpdesk.tickets.signals import ticket_events_committed

logger = logging.getLogger(__name__)

# "HELP": any number will do that no other program takes in this database.
LEADER_LOCK = 0x48454C50
BATCH_SIZE = 200
POLL_SECONDS = 1.0
RETRY_SECONDS = 30.0
MILLISECOND = timedelta(milliseconds=1)


class Announcer:
    """Announces events until it is told to stop; outlives restarts of PostgreSQL and Redis."""

    def __init__(self) -> None:
        # A threading.Event would wait for its own lock when a signal's handler sets it while it is waited for.
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
                logger.warning("PostgreSQL does not answer: %s", str(error).strip())
                connection.close()
            if not self.is_stopped:
                time.sleep(POLL_SECONDS)
        connection.close()

    def announce_while_leader(self) -> None:
        if not becomes_leader():
            return
        logger.info("Announcing events")
        # What was written while nobody listened may have met a Redis that did not answer, and left old pages there.
        self.scopes_to_invalidate.add(USERS)
        while not self.is_stopped:
            self.announce_all()
            self.invalidate_lists()
            self.scopes_to_invalidate |= wait_for_notifications()

    def announce_all(self) -> None:
        """Announce what is there; what a receiver fails on is tried again every RETRY_SECONDS, and holds nothing up."""
        if time.monotonic() >= self.retry_at:
            self.failed.clear()
            self.retry_at = time.monotonic() + RETRY_SECONDS
        last_id = 0
        while events := list(self.unannounced().filter(pk__gt=last_id)[:BATCH_SIZE]):
            last_id = events[-1].pk
            if not announce_together(events):
                self.failed |= {event.pk for event in events if not announce_together([event])}
            self.scopes_to_invalidate |= scopes_of(events)

    def unannounced(self) -> TicketEventQuerySet:
        return TicketEvent.objects.unannounced().exclude(pk__in=self.failed)

    def invalidate_lists(self) -> None:
        """Invalidate what the writers have invalidated themselves, if Redis answered them; if it does not, later."""
        if not self.scopes_to_invalidate:
            return
        with suppress(RedisError):
            invalidate(*self.scopes_to_invalidate)
            self.scopes_to_invalidate.clear()


def becomes_leader() -> bool:
    """Take the lock that one announcer holds for as long as its connection lives; False when another has it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [LEADER_LOCK])
        is_leader = bool(cursor.fetchone()[0])
        if is_leader:
            # The leader asks every second: one that does not is hung, and PostgreSQL gives its lock to another.
            cursor.execute(
                "SELECT set_config('idle_session_timeout', %s, false)",
                [f"{settings.ANNOUNCER_IDLE_TIMEOUT / MILLISECOND:.0f}"],
            )
            cursor.execute(f"LISTEN {BELL}")
    return is_leader


def wait_for_notifications() -> set[str]:
    """Return, as soon as somebody has committed or a second has passed, the scopes that were notified of."""
    with connection.wrap_database_errors:
        found = connection.connection.notifies(timeout=POLL_SECONDS, stop_after=1)
        return {notification.payload for notification in found} - {""}


def announce_together(events: list[TicketEvent]) -> bool:
    """Let the receivers write their rows and note that they did, in one transaction; False when one of them failed."""
    try:
        with transaction.atomic():
            ticket_events_committed.send(TicketEvent, events=events)
            TicketEvent.objects.filter(pk__in=[event.pk for event in events]).update(announced_at=timezone.now())
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        logger.exception("Not announced: events %s", [event.pk for event in events])
        return False
    for event in events:
        EVENTS_ANNOUNCED.labels(event.kind).inc()
        fields = {"request_id": event.request_id, "event": event.uuid, "ticket": event.ticket_id}
        logger.info("Announced: %s", event, extra=fields)
    return True


def scopes_of(events: list[TicketEvent]) -> set[str]:
    """Return the scopes of the lists that show the events' tickets; for deleted ones, that of all lists."""
    creators = dict(
        Ticket.objects.filter(pk__in={event.ticket_id for event in events}).values_list("pk", "created_by_id")
    )
    if any(event.ticket_id not in creators for event in events):
        return {USERS}
    return {scope for creator_id in creators.values() for scope in scopes_with_tickets_of(creator_id)}
