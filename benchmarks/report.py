"""Formats the figures and their environment as Markdown."""

import platform
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from importlib.metadata import version

import psutil
import psycopg
import redis

from benchmarks.cpu import PARTS
from benchmarks.measurement import CONNECTIONS, Figures
from benchmarks.servers import ServerKind


def environment(kind: ServerKind, *, seconds: float, database_url: str, redis_url: str) -> Iterator[str]:
    with psycopg.connect(database_url) as connection:
        postgres = connection.info.parameter_status("server_version")
    with redis.Redis.from_url(redis_url) as client:
        valkey = client.info("server")
    yield f"- {datetime.now(UTC):%Y-%m-%d}, {platform.system()} {platform.machine()}, {psutil.cpu_count()} cores"
    yield (
        f"- Python {platform.python_version()}, Django {version('django')}, PostgreSQL {postgres}, "
        f"Valkey {valkey.get('valkey_version', valkey['redis_version'])}, {kind.package} {version(kind.package)}"
    )
    yield f"- `{kind.module} {' '.join(kind.arguments)}` with `{kind.settings}`, rate limits off"
    yield f"- {CONNECTIONS} keep-alive connections, {seconds:g} s a row after {seconds / 4:g} s of warm-up"


def table(figures: Iterable[Figures], kind: ServerKind) -> Iterator[str]:
    yield f"| request | budget, ms CPU | ms CPU | {' | '.join(PARTS)} | requests/s | p99, ms |"
    yield f"|---|--:|--:|{'--:|' * len(PARTS)}--:|--:|"
    for row in figures:
        parts = " | ".join(f"{row.cpu_ms[part]:.2f}" for part in PARTS)
        yield (
            f"| {row.row.name} | {row.row.budget_ms_on(kind.package):g} | {row.total_cpu_ms:.2f} | {parts} "
            f"| {row.requests_per_second:.0f} | {row.p99_ms:.0f} |"
        )
