"""Measures the memory of all processes of production after some requests, and after many more."""

import argparse
import itertools
from collections.abc import Iterator

from benchmarks.data import discard_work
from benchmarks.deliveries import wait_until_delivered
from benchmarks.load import send_all
from benchmarks.measurement import CONNECTIONS
from benchmarks.report import number, table
from benchmarks.rows import mixed, read_sample
from benchmarks.smtp_sink import running_sink
from benchmarks.stacks import running_production

FIRST_REQUESTS = 1_000
MEGABYTE = 1024 * 1024


def measure(options: argparse.Namespace) -> Iterator[str]:
    """Yield the lines of a report: the proportional set size (PSS) of each service with its child processes."""
    discard_work()
    with running_sink() as sink, running_production(smtp_port=sink.port) as stack:
        requests = mixed(read_sample(stack.http))
        readings = []
        for count in (FIRST_REQUESTS, options.requests - FIRST_REQUESTS):
            send_all(stack.http, itertools.islice(requests, count), connections=CONNECTIONS)
            wait_until_delivered()
            readings.append(stack.resources.pss_bytes())
    first, last = readings
    yield from table(
        ["process", f"MB after {FIRST_REQUESTS:,} requests", f"after {options.requests:,}", "ratio"],
        (
            [name, number(first[name] / MEGABYTE), number(last[name] / MEGABYTE), number(last[name] / first[name])]
            for name in first
        ),
    )
