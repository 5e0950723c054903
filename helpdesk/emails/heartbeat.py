"""The time of the last sweep, in Redis: a recent one proves that beat, broker and worker run."""

import time
from datetime import timedelta
from typing import cast

from helpdesk.core import redis

EXPIRY = timedelta(days=1)


def store_sweep_time() -> None:
    """Raises RedisError if Redis is unavailable."""
    with redis.connection() as client:
        client.set(key(), time.time(), ex=EXPIRY)


def get_sweep_age_seconds() -> float | None:
    """Return None without a sweep within EXPIRY or since Redis was emptied. Raises RedisError."""
    with redis.connection() as client:
        stored = cast("bytes | None", client.get(key()))
    return None if stored is None else max(0.0, time.time() - float(stored))


def key() -> str:
    return redis.key("email-sweep")
