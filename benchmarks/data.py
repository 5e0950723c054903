"""Fills an empty database with demo data."""

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

import psycopg

from benchmarks.servers import ROOT

COMMENTS_PER_TICKET = 5


def fill(
    *,
    tickets: int,
    seed: int,
    database_url: str,
    environment: Mapping[str, str],
    options: Sequence[str] = (),
) -> float:
    """Migrate and generate the demo data; return the seconds that the generation took."""
    _manage("migrate", "--verbosity=0", environment=environment)
    with psycopg.connect(database_url) as connection:
        if connection.execute("SELECT FROM users_user LIMIT 1").rowcount:
            sys.exit(
                "The database has users already. A benchmark fills an empty one; --tickets=0 measures existing data."
            )
    started_at = time.perf_counter()
    _manage(
        "generate_fake_data",
        f"--tickets={tickets}",
        f"--comments-per-ticket={COMMENTS_PER_TICKET}",
        f"--seed={seed}",
        *options,
        environment=environment,
    )
    seconds = time.perf_counter() - started_at
    with psycopg.connect(database_url, autocommit=True) as connection:
        # Otherwise autovacuum would run during a measurement.
        connection.execute("VACUUM (ANALYZE)")
    return seconds


def _manage(*arguments: str, environment: Mapping[str, str]) -> None:
    command = [sys.executable, "manage.py", *arguments]
    if subprocess.run(command, cwd=ROOT, env=environment, stdout=sys.stderr, check=False).returncode:
        sys.exit(f"`manage.py {arguments[0]}` failed; its output is above.")
