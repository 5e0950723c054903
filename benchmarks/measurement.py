"""Measures one row of the table."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.cpu import CpuClock
from benchmarks.load import Address, fetch, send_all
from benchmarks.rows import Row, Sample, invalidating_write

CONNECTIONS = 8
WARM_UP_SHARE = 0.25


@dataclass(frozen=True)
class Figures:
    """Of one row; CPU milliseconds per request, by part."""

    row: Row
    requests: int
    cpu_ms: Mapping[str, float]
    requests_per_second: float
    p99_ms: float

    @property
    def total_cpu_ms(self) -> float:
        return sum(self.cpu_ms.values())


def measure(row: Row, sample: Sample, *, address: Address, cpu_clock: CpuClock, seconds: float) -> Figures:
    """Warm up with the row's own requests, then measure them."""
    if row.is_never_cached:
        seconds = math.inf
    requests = row.requests(sample)
    send_all(address, requests, connections=CONNECTIONS, seconds=seconds * WARM_UP_SHARE)
    if row.is_never_cached:
        requests = row.requests(sample)
        fetch(address, invalidating_write(sample))
    cpu_before, started_at = cpu_clock.cpu_seconds(), time.perf_counter()
    latencies = sorted(send_all(address, requests, connections=CONNECTIONS, seconds=seconds))
    cpu_after, ended_at = cpu_clock.cpu_seconds(), time.perf_counter()
    return Figures(
        row=row,
        requests=len(latencies),
        cpu_ms={part: (cpu_after[part] - cpu_before[part]) / len(latencies) * 1000 for part in cpu_before},
        requests_per_second=len(latencies) / (ended_at - started_at),
        p99_ms=latencies[math.ceil(len(latencies) * 0.99) - 1] * 1000,
    )
