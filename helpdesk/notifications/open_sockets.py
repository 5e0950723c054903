"""What each websocket process reports of itself, for the one that answers; what a dead one reported expires.

The number of its open connections, and for how long its hub has received no keep-alive.
"""

import time
from datetime import timedelta
from typing import NamedTuple, cast

from django.conf import settings

from helpdesk.core import redis

REPORT = """
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
"""


class Report(NamedTuple):
    """How many connections a process holds, and its hub's silence, in seconds, at that time."""

    connections: int
    silence_seconds: float
    valid_until: float


def report(process: str, count: int, *, silence_seconds: float) -> None:
    """Publish what a process reports; raises RedisError when Redis does not answer."""
    valid: timedelta = 3 * settings.WEBSOCKET_COUNT_INTERVAL
    text = f"{count} {silence_seconds} {time.time() + valid.total_seconds()}"
    with redis.connection() as client:
        client.eval(REPORT, 1, key(), process, text, valid // timedelta(milliseconds=1))


def total() -> int:
    """Return the number of connections in all processes."""
    return sum(report.connections for report in valid_reports())


def longest_silence_seconds() -> float:
    """Return the silence of the hub that has received nothing for longest; 0 when no process has a hub."""
    return max((report.silence_seconds for report in valid_reports()), default=0.0)


def valid_reports() -> list[Report]:
    """Return what is still valid, and forget the rest."""
    with redis.connection() as client:
        stored = cast("dict[bytes, bytes]", client.hgetall(key()))
        reports = {process.decode(): report_of(text) for process, text in stored.items()}
        expired = [process for process, report in reports.items() if report.valid_until < time.time()]
        if expired:
            client.hdel(key(), *expired)
    return [report for process, report in reports.items() if process not in expired]


def report_of(text: bytes) -> Report:
    count, silence_seconds, valid_until = text.split()
    return Report(int(count), float(silence_seconds), float(valid_until))


def key() -> str:
    # Another than that of the version before, which reported two numbers.
    return redis.key("websocket-processes")
