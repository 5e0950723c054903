"""Formats what was measured as Markdown."""

import os
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version

import psutil
import redis

from benchmarks.data import connect


@dataclass(frozen=True)
class Figure:
    """A measured value, its unit, and the budget: what it may be at most, or what it must be at least."""

    name: str
    value: float
    unit: str
    budget: float | None = None
    is_minimum: bool = False
    details: str = ""

    def row(self) -> list[str]:
        budget = "" if self.budget is None else f"{self.budget:g}"
        result = verdict(self.value, self.budget, is_minimum=self.is_minimum)
        return [self.name, self.unit, budget, number(self.value), result, self.details]


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"  # noqa: PLR2004 -- three digits or more


def verdict(value: float, budget: float | None, *, is_minimum: bool = False) -> str:
    if budget is None:
        return ""
    return "inside" if (value >= budget if is_minimum else value <= budget) else "misses"


def cpu_details(cpu_ms: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {ms:.2f}" for name, ms in cpu_ms.items() if ms >= 0.01)  # noqa: PLR2004 -- what two digits show


def figures_table(figures: Iterable[Figure]) -> Iterator[str]:
    return table(["what", "unit", "budget", "measured", "", "of which"], (figure.row() for figure in figures))


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield ""
    yield f"| {' | '.join(headings)} |"
    yield "|---" * len(headings) + "|"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def environment() -> Iterator[str]:
    with connect() as connection:
        postgres = connection.info.parameter_status("server_version")
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        valkey = client.info("server")
    yield f"- {datetime.now(UTC):%Y-%m-%d}, {platform.system()} {platform.machine()}, {psutil.cpu_count()} cores"
    yield (
        f"- Python {platform.python_version()}, Django {version('django')}, PostgreSQL {postgres}, "
        f"Valkey {valkey.get('valkey_version', valkey['redis_version'])}"
    )
