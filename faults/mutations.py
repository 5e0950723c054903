"""Three defects, each of which must fail the suite; FAULTS_MUTATION names the one to build in."""

import os
from collections.abc import Callable, Mapping

from django.conf import settings
from django.db.models import Max

from helpdesk.emails import actions
from helpdesk.emails.models import EmailQuerySet
from helpdesk.tickets import announcer
from helpdesk.tickets.announcer import Announcer
from helpdesk.tickets.models import TicketEvent

CLAIM_WITHOUT_LEASE = """
    UPDATE emails_email SET lease_until = STATEMENT_TIMESTAMP() + %(lease)s
    WHERE id = ANY(%(ids)s) AND state = 'pending' AND attempts < %(maximum)s
        AND next_attempt_at <= STATEMENT_TIMESTAMP()
    RETURNING *
"""


def no_sweep() -> None:
    """Rely on Celery to lose no task."""
    del settings.CELERY_BEAT_SCHEDULE["send-due-emails"]


def no_lease() -> None:
    """Let several workers send an e-mail at the same time."""
    actions.CLAIM = CLAIM_WITHOUT_LEASE
    EmailQuerySet.unleased = lambda self: self  # type: ignore[method-assign]


def sequence_as_cursor() -> None:
    """Announce only events after the highest announced id, although ids are taken before the commit."""

    def announce_all(self: Announcer) -> None:
        announced = TicketEvent.objects.exclude(announced_at=None)
        cursor = announced.aggregate(last=Max("pk"))["last"] or 0
        while events := list(TicketEvent.objects.filter(pk__gt=cursor).order_by("pk")[: announcer.BATCH_SIZE]):
            cursor = events[-1].pk
            announcer.try_announce(events)

    Announcer.announce_all = announce_all  # type: ignore[method-assign]


MUTATIONS: Mapping[str, Callable[[], None]] = {
    mutation.__name__: mutation for mutation in (no_sweep, no_lease, sequence_as_cursor)
}

if chosen := os.environ.get("FAULTS_MUTATION"):
    MUTATIONS[chosen]()
