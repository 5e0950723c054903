"""What each websocket process reports of itself, for the one that answers; what a dead one reported expires.

The number of its open connections, and for how long its hub has received no keep-alive.
"""

import time
from datetime import timedelta
from typing import NamedTuple, cast

from django.conf import settings

from helpdesk.core import redis

# Forgets here and not where reports are read: between the reading and the deletion one may be renewed.
REPORT = """
local reports = redis.call('HGETALL', KEYS[1])
for i = 1, #reports, 2 do
    if tonumber(string.match(reports[i + 1], '%S+$')) < tonumber(ARGV[4]) then
        redis.call('HDEL', KEYS[1], reports[i])
    end
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
"""


class Report(NamedTuple):
    """How many connections a process holds, and its hub's silence, in seconds, at that time."""

    connections: int
    silence_seconds: float
    valid_until: float


def report(process: str, count: int, *, silence_seconds: float) -> None:
    """Publish what a process reports, and forget what has expired; raises RedisError when Redis does not answer."""
    valid: timedelta = 3 * settings.WEBSOCKET_COUNT_INTERVAL
    now = time.time()
    text = f"{count} {silence_seconds} {now + valid.total_seconds()}"
    with redis.connection() as client:
        client.eval(REPORT, 1, key(), process, text, valid // timedelta(milliseconds=1), now)


def total() -> int:
    """Return the number of connections in all processes."""
    return sum(report.connections for report in valid_reports())


def longest_silence_seconds() -> float:
    """Return the silence of the hub that has received nothing for longest; 0 when no process has a hub."""
    return max((report.silence_seconds for report in valid_reports()), default=0.0)


def valid_reports() -> list[Report]:
    with redis.connection() as client:
        stored = cast("list[bytes]", client.hvals(key()))
    return [report for report in map(report_of, stored) if report.valid_until >= time.time()]


def report_of(text: bytes) -> Report:
    count, silence_seconds, valid_until = text.split()
    return Report(int(count), float(silence_seconds), float(valid_until))


def key() -> str:
    # Another than that of the version before, which reported two numbers.
    return redis.key("websocket-processes")
