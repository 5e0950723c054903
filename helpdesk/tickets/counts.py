"""Exact numbers of tickets, without reading tickets: sums of the rows of TicketCount, which triggers insert."""

from django.db import connection, transaction
from django.db.models import QuerySet, Sum

from helpdesk.tickets.models import TicketCount

# After an outage of the workers, or a change of all tickets, there are millions of rows.
FOLD_TIMEOUT_MS = 300_000
# One statement: whoever reads meanwhile sees the rows before or after it, and rows inserted meanwhile are left alone.
FOLD = """
    WITH folded AS (
        DELETE FROM tickets_ticketcount
        WHERE id IN (
            SELECT unnest(array_agg(id))
            FROM tickets_ticketcount
            GROUP BY status, priority, assigned_to_id
            HAVING count(*) > 1 OR sum(delta) = 0
        )
        RETURNING status, priority, assigned_to_id, delta
    )
    INSERT INTO tickets_ticketcount (status, priority, assigned_to_id, delta)
    SELECT status, priority, assigned_to_id, sum(delta)
    FROM folded
    GROUP BY status, priority, assigned_to_id
    HAVING sum(delta) <> 0
"""


def sum_counts(counts: QuerySet[TicketCount]) -> int:
    """Return how many tickets the rows count."""
    total: int = counts.aggregate(total=Sum("delta", default=0))["total"]
    return total


@transaction.atomic
def fold_counts() -> None:
    """Replace the rows of the same status, priority and assignee by their sum; no writer of tickets waits for it."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL statement_timeout = {FOLD_TIMEOUT_MS}")
        cursor.execute(FOLD)
