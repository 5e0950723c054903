"""Announces every committed event once, in order, to the apps that listen.

A request only commits its events and rings a bell in PostgreSQL; it never waits for those who want to know. One
process at a time, the holder of an advisory lock, takes the events that are not announced yet. A bell that is not
heard costs a second, the time between two looks.
"""

import logging
import time
from typing import Any

from django.db import InterfaceError, OperationalError, connection, transaction
from django.utils import timezone

from helpdesk.core.metrics import Count
from helpdesk.core.redis import RedisError
from helpdesk.core.versioned_cache import outdate
from helpdesk.tickets.list_cache import PEOPLE, scopes_with_tickets_of
from helpdesk.tickets.models import BELL, Ticket, TicketEvent, TicketEventQuerySet
from helpdesk.tickets.signals import ticket_events_announced

logger = logging.getLogger(__name__)

# "HELP": any number will do that no other program takes in this database.
LEADER_LOCK = 0x48454C50
BATCH_SIZE = 200
POLL_SECONDS = 1.0
RETRY_SECONDS = 30.0

announced = Count("helpdesk_events_announced_total", "Events told to those who listen.", labels=["kind"])


class Announcer:
    """Announces events until it is told to stop; outlives restarts of PostgreSQL and Redis."""

    def __init__(self) -> None:
        # A threading.Event would wait for its own lock when a signal's handler sets it while it is waited for.
        self.is_stopped = False
        # Writes that nobody announced may have met a Redis that did not answer, and left old pages there.
        self.scopes_to_outdate = {PEOPLE}
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
        while not self.is_stopped:
            self.announce_all()
            self.outdate_lists()
            wait_for_bell()

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
            self.scopes_to_outdate |= scopes_of(events)

    def unannounced(self) -> TicketEventQuerySet:
        return TicketEvent.objects.unannounced().exclude(pk__in=self.failed)

    def outdate_lists(self) -> None:
        """Outdate what the writers have outdated themselves, if Redis answered them."""
        if not self.scopes_to_outdate:
            return
        try:
            outdate(*self.scopes_to_outdate)
        except RedisError as error:
            logger.warning("Redis does not answer: the lists are outdated later (%s)", error)
        else:
            self.scopes_to_outdate = set()


def becomes_leader() -> bool:
    """Take the lock that one announcer holds for as long as its connection lives; False when another has it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [LEADER_LOCK])
        is_leader = bool(cursor.fetchone()[0])
        if is_leader:
            cursor.execute(f"LISTEN {BELL}")
    return is_leader


def wait_for_bell() -> None:
    """Return when somebody has committed an event, or a second has passed."""
    with connection.wrap_database_errors:
        for _bell in connection.connection.notifies(timeout=POLL_SECONDS, stop_after=1):
            return


def announce_together(events: list[TicketEvent]) -> bool:
    """Let the receivers write their rows and note that they did, in one transaction; False when one of them failed."""
    try:
        with transaction.atomic():
            ticket_events_announced.send(TicketEvent, events=events)
            TicketEvent.objects.filter(pk__in=[event.pk for event in events]).update(announced_at=timezone.now())
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        logger.exception("Not announced: events %s", [event.pk for event in events])
        return False
    for event in events:
        fields = {"event": event.uuid, "ticket": event.ticket_id}
        announced.add(event.kind)
        logger.info("Announced: %s", event, extra={"request_id": event.request_id, "fields": fields})
    return True


def scopes_of(events: list[TicketEvent]) -> set[str]:
    """Return the scopes of the lists that show the events' tickets; of those that are deleted, all lists."""
    creators = dict(
        Ticket.objects.filter(pk__in={event.ticket_id for event in events}).values_list("pk", "created_by_id")
    )
    if any(event.ticket_id not in creators for event in events):
        return {PEOPLE}
    return {scope for creator_id in creators.values() for scope in scopes_with_tickets_of(creator_id)}
