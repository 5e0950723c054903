"""When the last sweep ended: that there was one shows that Celery's beat, broker and worker live."""

import time
from datetime import timedelta
from typing import cast

from helpdesk.core import redis

REMEMBERED = timedelta(days=1)


def note_sweep() -> None:
    """Raises RedisError when Redis does not answer."""
    with redis.connection() as client:
        client.set(key(), time.time(), ex=REMEMBERED)


def seconds_since_sweep() -> float | None:
    """Return None when there was none for a day, or Redis was emptied since."""
    with redis.connection() as client:
        noted = cast("bytes | None", client.get(key()))
    return None if noted is None else max(0.0, time.time() - float(noted))


def key() -> str:
    return redis.key("email-sweep")
