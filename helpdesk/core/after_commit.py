"""Side effects of a write: Celery, Redis and HTTP only after its commit."""

import logging
from collections.abc import Callable
from typing import ParamSpec

from django.db import transaction

from helpdesk.core.redis import RedisError

logger = logging.getLogger(__name__)

P = ParamSpec("P")


def after_commit(func: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
    """Call func after the commit of the current transaction. An exception is logged and never raised.

    An error of Redis is logged on one line, since what it loses is recovered later; others with their traceback.
    """

    def call() -> None:
        try:
            func(*args, **kwargs)
        except RedisError as error:
            logger.warning("Redis unavailable: skipped %s after the commit: %s", func.__qualname__, error)

    transaction.on_commit(call, robust=True)
