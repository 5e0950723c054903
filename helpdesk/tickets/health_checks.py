"""Health checks of the announcer."""

from django.db import connection
from django.utils import timezone

from helpdesk.monitoring.health import Service, health_check
from helpdesk.tickets.announcer import LEADER_LOCK
from helpdesk.tickets.models import TicketEvent

# pg_locks shows the 64-bit key of an advisory lock as two halves, classid and objid.
HAS_LEADER = """
    SELECT EXISTS (
        SELECT FROM pg_locks
        WHERE locktype = 'advisory' AND granted AND objsubid = 1
            AND classid::bigint = %(key)s::bigint >> 32 AND objid::bigint = %(key)s::bigint & 4294967295
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    )
"""


@health_check(Service.POSTGRESQL, at_most=30)
def oldest_unannounced_event_seconds() -> float:
    created_at = TicketEvent.objects.unannounced().values_list("created_at", flat=True).first()
    return 0.0 if created_at is None else max(0.0, (timezone.now() - created_at).total_seconds())


@health_check(Service.POSTGRESQL)
def announcer_has_leader() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(HAS_LEADER, {"key": LEADER_LOCK})
        return bool(cursor.fetchone()[0])
