"""The only way from a write to Celery, Redis or HTTP."""

from collections.abc import Callable
from typing import ParamSpec

from django.db import transaction

P = ParamSpec("P")


def after_commit(func: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
    """Call func once the running transaction is durable; its failure is logged, never raised."""

    def call() -> None:
        func(*args, **kwargs)

    transaction.on_commit(call, robust=True)
