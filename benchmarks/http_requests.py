"""Measures HTTP requests to the web servers of `make up`, and of `make production` through the proxy."""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from statistics import median

from benchmarks.data import fold_ticket_counts
from benchmarks.measurement import CONNECTIONS, WARM_UP_SHARE, Cost, measure_latency, measure_row
from benchmarks.report import Figure, cpu_details, figures_table, number, table, verdict
from benchmarks.rows import LATENCY_ROWS, PAGE_SIZE, PROXY_BUDGET_MS, ROWS, Row, Sample, read_sample
from benchmarks.stacks import WEB, Stack, granian, running_local, running_production

STACKS: Mapping[str, Callable[[], AbstractContextManager[Stack]]] = {
    "local": running_local,
    "production": partial(running_production, *WEB),
}
FLOOR = partial(running_production, *WEB, web_commands=granian("benchmarks.floor:application"))
LIST = ROWS[0]
MILLION = 1_000_000


def measure(options: argparse.Namespace) -> Iterator[str]:
    """Yield the lines of a report for each stack of the options."""
    for name in options.stacks:
        with STACKS[name]() as stack:
            sample = read_sample(stack.http)
            costs = {
                row: measure_row(row, sample, stack=stack, seconds=options.seconds)
                for row in ROWS
                if row.key in options.rows
            }
            fold_ticket_counts()
            latencies = [measure_latency(row, sample, stack=stack) for row in LATENCY_ROWS if row.key in options.rows]
        yield ""
        yield f"{stack.description}, rate limits off. {CONNECTIONS} keep-alive connections, {options.seconds:g} s a row"
        yield f"after {options.seconds * WARM_UP_SHARE:g} s of warm-up."
        if costs:
            yield from costs_table(costs, sample, name)
        if costs and name == "production":
            latencies += proxy_and_floor(costs, sample, options)
        if latencies:
            yield from figures_table(latencies)


def proxy_and_floor(costs: Mapping[Row, Cost], sample: Sample, options: argparse.Namespace) -> Iterator[Figure]:
    shares = [cost.proxy_ms for cost in costs.values()]
    yield Figure("the proxy's own share", median(shares), "ms CPU, median of the rows", PROXY_BUDGET_MS)
    if LIST in costs:
        with FLOOR() as stack:
            floor = measure_row(LIST, sample, stack=stack, seconds=options.seconds)
        yield Figure("the first page without Django", floor.total_ms, "ms CPU", details=cpu_details(floor.cpu_ms))
        yield Figure("`GET /api/tickets/` / the first page without Django", costs[LIST].total_ms / floor.total_ms, "")


def costs_table(costs: Mapping[Row, Cost], sample: Sample, stack: str) -> Iterator[str]:
    services = sorted(next(iter(costs.values())).cpu_ms, key="proxy".__eq__)
    headings = ["request", "budget, ms CPU", "ms CPU", "", *services, "requests/s", "p99, ms"]
    return table(
        headings, [cost_line(row, cost, services, budget_ms(row, sample, stack)) for row, cost in costs.items()]
    )


def cost_line(row: Row, cost: Cost, services: Sequence[str], budget: float | None) -> list[str]:
    return [
        row.name,
        "" if budget is None else f"{budget:g}",
        number(cost.total_ms),
        verdict(cost.total_ms, budget),
        *(number(cost.cpu_ms[service]) for service in services),
        f"{cost.requests_per_second:.0f}",
        f"{cost.p99_ms:.0f}",
    ]


def budget_ms(row: Row, sample: Sample, stack: str) -> float | None:
    if sample.last_page * PAGE_SIZE >= MILLION:
        return row.million_budget_ms
    return row.production_budget_ms if stack == "production" else row.local_budget_ms
