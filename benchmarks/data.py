"""The database and Valkey of a benchmark: demo data, events and e-mails."""

import subprocess
import sys
import time
from collections.abc import Callable
from os import environ
from typing import Any

import psycopg
import redis

from compose.embedded.options import ROOT

SEED = 1
COMMENTS_PER_TICKET = 5
TIMEOUT_SECONDS = 600
POLL_SECONDS = 0.02
UNANNOUNCED = "SELECT count(*) FROM tickets_ticketevent WHERE announced_at IS NULL"
MARK_ANNOUNCED = "UPDATE tickets_ticketevent SET announced_at = now() WHERE announced_at IS NULL"


def connect() -> psycopg.Connection:
    return psycopg.connect(environ["DATABASE_URL"], autocommit=True)


def sql(statement: str, parameters: Any = None) -> psycopg.Cursor:
    """Execute one statement, and commit it; its rows can be fetched."""
    with connect() as connection:
        return connection.execute(statement, parameters)


def fill(*, tickets: int) -> float:
    """Migrate an empty database and generate demo data; return the seconds that the generation took."""
    manage("migrate", "--verbosity=0")
    if sql("SELECT FROM users_user LIMIT 1").rowcount:
        sys.exit("The database has users already. A benchmark fills an empty one; --tickets=0 measures existing data.")
    started_at = time.perf_counter()
    manage(
        "generate_fake_data", f"--tickets={tickets}", f"--comments-per-ticket={COMMENTS_PER_TICKET}", f"--seed={SEED}"
    )
    seconds = time.perf_counter() - started_at
    # Otherwise autovacuum would run during a measurement.
    sql("VACUUM (ANALYZE)")
    return seconds


def ensure_agents(count: int) -> None:
    """Have at least the demo users agent_1 to agent_{count}."""
    manage("generate_fake_data", "--tickets=0", f"--agents={count}", "--verbosity=0")


def manage(*arguments: str) -> None:
    command = [sys.executable, "manage.py", *arguments]
    variables = {**environ, "DJANGO_SETTINGS_MODULE": "config.settings.local"}
    if subprocess.run(command, cwd=ROOT, env=variables, stdout=sys.stderr, check=False).returncode:
        sys.exit(f"`manage.py {arguments[0]}` failed; its output is above.")


def fold_ticket_counts() -> None:
    """Do what a worker does every minute, after which counting tickets costs little again."""
    manage("shell", "--no-imports", "-c", "from helpdesk.tickets.counts import fold_counts; fold_counts()")


def discard_work() -> None:
    """Leave nothing to announce and to deliver; no process of the product may run."""
    sql(MARK_ANNOUNCED)
    sql("TRUNCATE emails_email CASCADE")
    with redis.Redis.from_url(environ["REDIS_URL"]) as client:
        client.flushdb()


def wait_until_announced() -> None:
    wait_until(lambda: sql(UNANNOUNCED).fetchone() == (0,), what="all events are announced")


def wait_until(condition: Callable[[], bool], *, what: str) -> None:
    """Wait for a condition; sys.exit, naming it, if it does not hold after TIMEOUT_SECONDS."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"Not within {TIMEOUT_SECONDS} s: {what}")
        time.sleep(POLL_SECONDS)
