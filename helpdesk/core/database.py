"""The first query of a request, which saves the health check of its connection."""

from collections.abc import Sequence
from typing import Any, cast

from django.db import InterfaceError, OperationalError, connection


def fetch_first(statement: str, parameters: Sequence[Any]) -> tuple[Any, ...] | None:
    """Run the first query of a request; return its first row, None if there is none.

    Django would check a kept connection by a round trip of its own (CONN_HEALTH_CHECKS). Here the query itself is the check:
    if PostgreSQL has closed the connection, it runs once more on a new one, so it must only read.
    """
    connection.health_check_done = True  # type: ignore[attr-defined] # Django's; the stubs lack it
    try:
        return fetch(statement, parameters)
    except (OperationalError, InterfaceError):
        is_kept = connection.connection is not None and not connection.in_atomic_block
        if not is_kept or connection.is_usable():
            raise
    connection.close()
    return fetch(statement, parameters)


def fetch(statement: str, parameters: Sequence[Any]) -> tuple[Any, ...] | None:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cast("tuple[Any, ...] | None", cursor.fetchone())
