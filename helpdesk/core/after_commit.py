"""The only way from a write to Celery, Redis or HTTP."""

import logging
from collections.abc import Callable
from typing import ParamSpec

from django.db import transaction

from helpdesk.core.redis import RedisError

logger = logging.getLogger(__name__)

P = ParamSpec("P")


def after_commit(func: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
    """Call func once the running transaction is durable; its failure is logged, never raised.

    A failure of Redis is one line: whatever depends on it is made up for when it is back. Any other has its trace.
    """

    def call() -> None:
        try:
            func(*args, **kwargs)
        except RedisError as error:
            logger.warning("Redis fails: %s is left out after the commit: %s", func.__qualname__, error)

    transaction.on_commit(call, robust=True)
