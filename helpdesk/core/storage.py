"""How PostgreSQL tends the tables that grow."""

from django.db.migrations import RunSQL

AUTOVACUUM = {
    "autovacuum_vacuum_scale_factor": "0.01",
    "autovacuum_vacuum_threshold": "1000",
    "autovacuum_vacuum_insert_scale_factor": "0.02",
    "autovacuum_vacuum_insert_threshold": "10000",
    "autovacuum_analyze_scale_factor": "0.01",
    "autovacuum_analyze_threshold": "1000",
}
"""Vacuum after a hundredth of the rows has changed, rather than a fifth: of 45 million, a fifth is a week of dead rows."""


def autovacuum_often(table: str) -> RunSQL:
    """Return the operation that vacuums and analyzes a table that grows for as long as the helpdesk is used.

    The lock lets reads and writes pass.
    """
    settings = ", ".join(f"{name} = {value}" for name, value in AUTOVACUUM.items())
    names = ", ".join(AUTOVACUUM)
    return RunSQL(f"ALTER TABLE {table} SET ({settings})", f"ALTER TABLE {table} RESET ({names})")
