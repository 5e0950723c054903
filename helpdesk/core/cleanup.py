"""Nightly clean-up: tasks that are not redelivered, and deletes in short transactions."""

from functools import partial
from typing import Any

from celery import shared_task
from django.db import models, transaction
from django.db.models import Q, QuerySet

# Rows that one transaction reads, and so the most that it deletes.
RANGE_SIZE = 1_000

cleanup_task = partial(shared_task, acks_late=False, reject_on_worker_lost=False)
"""`shared_task` for a clean-up: if its worker is killed, it continues in the next night instead of in another worker."""


def delete_in_ranges(rows: QuerySet[Any], *, stop_at: Q | None = None) -> int:
    """Delete rows and what cascades from them, in ranges of their primary keys; return how many rows.

    Each range is a transaction, so do not call it in one. Locked rows are left for the next run. If keys grow with time,
    pass as `stop_at` the condition of the rows to keep: the first range that has only such rows is the last one.
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
    """Delete the rows of a range, and those that refer to them according to their `on_delete`; return how many rows."""
    model: type[models.Model] = rows.model
    locked = rows.order_by().select_for_update(skip_locked=True, of=("self",))
    keys = list(locked.values_list("pk", flat=True))
    _rows, rows_by_model = model._base_manager.filter(pk__in=keys).only("pk").delete()  # noqa: SLF001 -- as above
    return rows_by_model.get(model._meta.label, 0)  # noqa: SLF001 -- as above
