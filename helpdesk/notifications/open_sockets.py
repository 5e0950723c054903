"""How many websockets are open in all web processes: each reports its own, and what a dead one said expires."""

import time
from datetime import timedelta
from typing import cast

from django.conf import settings

from helpdesk.core import redis

REPORT = """
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
"""


def report(process: str, count: int) -> None:
    """Say how many sockets a process holds; raises RedisError when Redis does not answer."""
    valid: timedelta = 3 * settings.WEBSOCKET_COUNT_INTERVAL
    until = time.time() + valid.total_seconds()
    with redis.connection() as client:
        client.eval(REPORT, 1, key(), process, f"{count} {until}", valid // timedelta(milliseconds=1))


def total() -> int:
    """Return the sum of what is still valid, and forget the rest."""
    with redis.connection() as client:
        stored = cast("dict[bytes, bytes]", client.hgetall(key()))
        reports = {process.decode(): text.split() for process, text in stored.items()}
        expired = [process for process, (_count, until) in reports.items() if float(until) < time.time()]
        if expired:
            client.hdel(key(), *expired)
    return sum(int(count) for process, (count, _until) in reports.items() if process not in expired)


def key() -> str:
    return redis.key("open-websockets")
