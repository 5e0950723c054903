"""Whether what happened to tickets is announced."""

from django.db import connection
from django.utils import timezone

from helpdesk.core.vital_signs import Service, vital_sign
from helpdesk.tickets.announcer import LEADER_LOCK
from helpdesk.tickets.models import TicketEvent

# Where PostgreSQL shows an advisory lock with a key of 64 bits: half in classid, half in objid.
LEADER = """
    SELECT EXISTS (
        SELECT FROM pg_locks
        WHERE locktype = 'advisory' AND granted AND objsubid = 1
            AND classid::bigint = %(key)s::bigint >> 32 AND objid::bigint = %(key)s::bigint & 4294967295
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    )
"""


@vital_sign(Service.POSTGRESQL, at_most=30)
def oldest_unannounced_event_seconds() -> float:
    created_at = TicketEvent.objects.unannounced().values_list("created_at", flat=True).first()
    return 0.0 if created_at is None else max(0.0, (timezone.now() - created_at).total_seconds())


@vital_sign(Service.POSTGRESQL)
def announcer_leads() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(LEADER, {"key": LEADER_LOCK})
        return bool(cursor.fetchone()[0])
