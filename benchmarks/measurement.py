"""Measures the rows of the table on a running stack."""

import itertools
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.data import fold_ticket_counts
from benchmarks.load import fetch, percentile, send_after_writes, send_all
from benchmarks.report import Figure
from benchmarks.resources import cpu_ms_each
from benchmarks.rows import LatencyRow, Row, Sample, invalidating_write
from benchmarks.stacks import Stack

CONNECTIONS = 8
WARM_UP_SHARE = 0.25
TIMED_REQUESTS = 15


@dataclass(frozen=True)
class Cost:
    """CPU milliseconds of a request, by process."""

    cpu_ms: Mapping[str, float]
    requests_per_second: float
    p99_ms: float

    @property
    def proxy_ms(self) -> float:
        return self.cpu_ms.get("proxy", 0)

    @property
    def total_ms(self) -> float:
        """Without the proxy."""
        return sum(self.cpu_ms.values()) - self.proxy_ms


def measure_row(row: Row, sample: Sample, *, stack: Stack, seconds: float) -> Cost:
    """Warm up with the row's own requests, then measure them."""
    if row.is_never_cached:
        seconds = math.inf
    requests = row.requests(sample)
    send_all(stack.http, requests, connections=CONNECTIONS, seconds=seconds * WARM_UP_SHARE)
    if row.is_never_cached:
        requests = row.requests(sample)
        fold_ticket_counts()
        fetch(stack.http, invalidating_write(sample))
    before, started_at = stack.resources.cpu_seconds(), time.perf_counter()
    latencies = send_all(stack.http, requests, connections=CONNECTIONS, seconds=seconds)
    after, ended_at = stack.resources.cpu_seconds(), time.perf_counter()
    return Cost(
        cpu_ms=cpu_ms_each(before, after, len(latencies)),
        requests_per_second=len(latencies) / (ended_at - started_at),
        p99_ms=percentile(latencies, 0.99),
    )


def measure_latency(row: LatencyRow, sample: Sample, *, stack: Stack) -> Figure:
    """Time a request alone, each time after a write."""
    requests = itertools.repeat(row.request(sample), TIMED_REQUESTS)
    latencies = send_after_writes(stack.http, requests, invalidating_write(sample))
    slowest = f"slowest {percentile(latencies, 1):.1f}"
    return Figure(
        f"{row.name}, after a write", percentile(latencies, 0.5), "ms, median", row.budget_ms, details=slowest
    )
