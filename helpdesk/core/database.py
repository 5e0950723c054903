"""Queries of which there are many: the first of each request, and those whose SQL is written once."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from django.db import DEFAULT_DB_ALIAS, InterfaceError, OperationalError, connection
from django.db.models import QuerySet


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


class CompiledQuery:
    """A queryset whose SQL is written once: that takes the ORM longer than PostgreSQL takes to run it.

    The queryset filters by placeholders, distinct numbers that no id has, which are replaced when it is run.
    """

    def __init__(self, queryset: QuerySet[Any, Any]) -> None:
        self.model = queryset.model
        self.columns = queryset.query.values_select or [field.attname for field in self.model._meta.concrete_fields]  # noqa: SLF001 -- Django's public API
        self.statement, self.parameters = queryset.query.sql_with_params()

    def fetch_rows(self, ids: Mapping[int, int]) -> list[dict[str, Any]]:
        """Return what a queryset of `.values()` finds for the ids, given by their placeholders."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.fetch(ids)]

    def fetch_instance(self, ids: Mapping[int, int]) -> Any:
        """Return the only instance; raises DoesNotExist of the model without one."""
        for row in self.fetch(ids):
            return self.model.from_db(DEFAULT_DB_ALIAS, self.columns, row)
        raise self.model.DoesNotExist

    def fetch(self, ids: Mapping[int, int]) -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(self.statement, [ids[placeholder] for placeholder in self.parameters])
            return cast("list[tuple[Any, ...]]", cursor.fetchall())
