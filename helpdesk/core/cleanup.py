"""Nightly clean-ups: tasks that are not redelivered, and deletes in short transactions."""

from functools import partial
from typing import Any

from celery import shared_task
from django.db import models, transaction
from django.db.models import Q, QuerySet

# Rows of a table that one transaction looks at, and so the most that it deletes.
RANGE_SIZE = 1_000

cleanup_task = partial(shared_task, acks_late=False, reject_on_worker_lost=False)
"""`shared_task` for a clean-up: one whose worker is killed goes on the next night, and is not given to another worker."""


def delete_in_ranges(rows: QuerySet[Any], *, stop_at: Q | None = None) -> int:
    """Delete rows and what cascades from them, in ranges of primary keys of their table; returns how many rows.

    Each range is a transaction, so this cannot be called in one. Rows that somebody else has locked are left for the next
    time. Where keys grow with age, `stop_at` is the condition of rows that are too young: the first range that has no
    other rows is the last one that is read.
    """
    table = rows.model._base_manager.order_by("pk")  # noqa: SLF001 -- Django's public API
    deleted, remaining = 0, Q()
    while True:
        last = table.filter(remaining).values_list("pk", flat=True)[RANGE_SIZE - 1 : RANGE_SIZE].first()
        in_range = remaining if last is None else remaining & Q(pk__lte=last)
        in_this_range = delete_range(rows.filter(in_range))
        deleted += in_this_range
        is_over = stop_at is not None and not in_this_range and not table.filter(in_range).exclude(stop_at).exists()
        if last is None or is_over:
            return deleted
        remaining = Q(pk__gt=last)


@transaction.atomic(durable=True)
def delete_range(rows: QuerySet[Any]) -> int:
    """Delete rows, as few as a range has; those that refer to them first, as their `on_delete` says."""
    model: type[models.Model] = rows.model
    locked = rows.order_by().select_for_update(skip_locked=True, of=("self",))
    keys = list(locked.values_list("pk", flat=True))
    _rows, rows_by_model = model._base_manager.filter(pk__in=keys).only("pk").delete()  # noqa: SLF001 -- as above
    return rows_by_model.get(model._meta.label, 0)  # noqa: SLF001 -- as above
