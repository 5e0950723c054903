"""What is counted for Prometheus: by each process in its memory, for all of them in one hash in Redis.

So one answer speaks for every process of the helpdesk, whichever gives it. A process hands over what it has counted
every METRICS_INTERVAL. Without Redis it keeps it; a process that is killed takes its last seconds with it.
"""

import atexit
import json
import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Protocol, cast

from django.conf import settings
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from helpdesk.core import redis

Key = tuple[str, ...]
"""A metric's name, and its labels' values in order."""

BUCKETS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
LIMITS = [*map(str, BUCKETS_SECONDS), "+Inf"]


class Tallies:
    """What this process has counted and not handed over yet."""

    def __init__(self) -> None:
        self.waiting: Counter[Key] = Counter()
        self.lock = threading.Lock()
        self.thread: threading.Thread | None = None

    def add(self, amounts: Mapping[Key, float]) -> None:
        """Count, and return at once."""
        with self.lock:
            for key, amount in amounts.items():
                self.waiting[key] += amount  # type: ignore[assignment] # a Counter adds up floats as well
            if self.thread is None or not self.thread.is_alive():
                self.start()

    def start(self) -> None:
        """Begin to hand over, in each process that a fork made too."""
        self.thread = threading.Thread(target=self.run, name="tallies", daemon=True)
        self.thread.start()
        atexit.register(self.hand_over)

    def run(self) -> None:
        while True:
            time.sleep(settings.METRICS_INTERVAL.total_seconds())
            self.hand_over()

    def hand_over(self) -> None:
        """Add to Redis what was counted; when it does not answer, it is tried again with what follows."""
        with self.lock:
            taken, self.waiting = self.waiting, Counter()
        try:
            with redis.connection() as client, client.pipeline() as pipeline:
                for key, amount in taken.items():
                    pipeline.hincrbyfloat(hash_key(), json.dumps(key), amount)
                pipeline.execute()
        except redis.RedisError:
            with self.lock:
                self.waiting.update(taken)


tallies = Tallies()


class Counted(Protocol):
    def families(self, totals: Mapping[Key, float]) -> Iterator[Metric]: ...


counted: list[Counted] = []


class Count:
    """How often something happened; labels have few values, as each mix of them is a series of its own."""

    def __init__(self, name: str, meaning: str, *, labels: Sequence[str]) -> None:
        self.name, self.meaning, self.labels = name, meaning, labels
        counted.append(self)

    def add(self, *values: str) -> None:
        tallies.add({self.key(*values): 1})

    def key(self, *values: str) -> Key:
        return (self.name, *values)

    def families(self, totals: Mapping[Key, float]) -> Iterator[Metric]:
        family = CounterMetricFamily(self.name, self.meaning, labels=self.labels)
        for key, total in totals.items():
            if key[0] == self.name and len(key) == 1 + len(self.labels):
                family.add_metric(key[1:], total)
        yield family


class Duration:
    """How long something took, as a histogram."""

    def __init__(self, name: str, meaning: str, *, labels: Sequence[str]) -> None:
        self.name, self.meaning, self.labels = name, meaning, labels
        counted.append(self)

    def amounts(self, seconds: float, *values: str) -> dict[Key, float]:
        limit = LIMITS[bisect_left(BUCKETS_SECONDS, seconds)]
        return {(f"{self.name}_bucket", *values, limit): 1, (f"{self.name}_sum", *values): seconds}

    def families(self, totals: Mapping[Key, float]) -> Iterator[Metric]:
        family = HistogramMetricFamily(self.name, self.meaning, labels=self.labels)
        for key, total in totals.items():
            if key[0] == f"{self.name}_sum" and len(key) == 1 + len(self.labels):
                found = [totals.get((f"{self.name}_bucket", *key[1:], limit), 0) for limit in LIMITS]
                family.add_metric(key[1:], list(zip(LIMITS, accumulate(found), strict=True)), sum_value=total)
        yield family


def totals() -> dict[Key, float]:
    """Return what all processes have handed over; raises RedisError."""
    with redis.connection() as client:
        stored = cast("dict[bytes, bytes]", client.hgetall(hash_key()))
    return {tuple(json.loads(key)): float(total) for key, total in stored.items()}


def hash_key() -> str:
    return redis.key("metrics")
