"""Measures generate_fake_data beside a plain bulk_create loop, each on empty databases of its own."""

import argparse
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import django
import psycopg
from django.apps import apps
from django.contrib.auth.hashers import make_password
from psycopg import sql

from benchmarks.cpu import Machinery
from benchmarks.servers import ROOT

COMMENTS_PER_TICKET = 5
CUSTOMERS, AGENTS = 50, 10
PLAIN = "--plain-child"
COMMAND = [sys.executable, "manage.py", "generate_fake_data", f"--comments-per-ticket={COMMENTS_PER_TICKET}"]
PLAIN_LOOP = [sys.executable, "-m", "benchmarks.demo_data", PLAIN]
WORDS = "the printer on the second floor does not print since we moved to the new office and nobody knows why"
COUNT_ROWS = """
    SELECT (SELECT count(*) FROM tickets_ticket) + (SELECT count(*) FROM tickets_comment)
        + (SELECT count(*) FROM tickets_ticketevent) + (SELECT count(*) FROM tickets_searchdocument)
"""


@dataclass(frozen=True)
class Figures:
    """Of one run of a program, from its start to its end."""

    seconds: float
    rows: int
    python_cpu: float
    postgres_cpu: float
    peak_mb: float

    def line(self, name: str) -> str:
        return (
            f"| {name} | {self.seconds:.2f} | {self.rows:,} | {self.rows / self.seconds:,.0f} "
            f"| {self.python_cpu:.2f} | {self.postgres_cpu:.2f} | {self.peak_mb:.0f} |"
        )


def main() -> None:
    options = read_options()
    if options.plain_child:
        fill_plainly(options.tickets)
        return
    if not (os.environ.get("DATABASE_URL") and os.environ.get("REDIS_URL")):
        sys.exit("DATABASE_URL and REDIS_URL are not set.")
    print(f"{options.tickets:,} tickets, {COMMENTS_PER_TICKET} comments each, best of {options.runs}")
    print("| program | wall, s | rows | rows/s | CPU of Python, s | of PostgreSQL, s | peak memory, MB |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    command = best(COMMAND, "generate_fake_data", options)
    if not options.alone:
        plain = best(PLAIN_LOOP, "bulk_create loop, without search words", options)
        print(f"\n{plain.seconds / command.seconds:.1f} times as fast as the loop.")


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.demo_data", description=__doc__)
    parser.add_argument("--tickets", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=3, help="of each program, every one in a new database")
    parser.add_argument("--alone", action="store_true", help="without the loop, which takes long for a million")
    parser.add_argument(PLAIN, action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def best(command: list[str], name: str, options: argparse.Namespace) -> Figures:
    figures = min((measured([*command, f"--tickets={options.tickets}"]) for _run in range(options.runs)), key=wall)
    print(figures.line(name), flush=True)
    return figures


def wall(figures: Figures) -> float:
    return figures.seconds


def measured(command: list[str]) -> Figures:
    """Run a program on an empty database of its own."""
    with scratch_database() as database_url:
        environment = os.environ | {"DATABASE_URL": database_url}
        migrate = [sys.executable, "manage.py", "migrate", "--verbosity=0"]
        subprocess.run(migrate, cwd=ROOT, env=environment, check=True)
        machinery = Machinery(server_pid=os.getpid(), database_url=database_url, redis_url=os.environ["REDIS_URL"])
        cpu_before, began_at = machinery.cpu_seconds(), time.perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
        _pid, status, usage = os.wait4(process.pid, 0)
        seconds, cpu_after = time.perf_counter() - began_at, machinery.cpu_seconds()
        if status:
            sys.exit(f"`{' '.join(command[1:])}` failed; its output is above.")
        with psycopg.connect(database_url) as connection:
            ((rows,),) = connection.execute(COUNT_ROWS)
    return Figures(
        seconds=seconds,
        rows=rows,
        python_cpu=usage.ru_utime + usage.ru_stime,
        postgres_cpu=cpu_after["PostgreSQL"] - cpu_before["PostgreSQL"],
        peak_mb=usage.ru_maxrss / 1024,
    )


@contextmanager
def scratch_database() -> Iterator[str]:
    """Make a database beside the one of DATABASE_URL; it is dropped in the end."""
    address = urlsplit(os.environ["DATABASE_URL"])
    name = f"{address.path.strip('/')}_benchmark_{os.getpid()}"
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield address._replace(path=f"/{name}").geturl()
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def fill_plainly(tickets: int) -> None:
    """Do what a conventional project does: make objects, and hand them to bulk_create."""
    django.setup()
    user, ticket, comment, event = (
        apps.get_model(name) for name in ("users.User", "tickets.Ticket", "tickets.Comment", "tickets.TicketEvent")
    )
    people = [
        user(username=f"{role}_{number}", email=f"{role}_{number}@example.com", role=role, password=make_password("x"))
        for role, count in (("customer", CUSTOMERS), ("agent", AGENTS))
        for number in range(count)
    ]
    people = user.objects.bulk_create(people)
    made = ticket.objects.bulk_create(
        [
            ticket(
                title=sentence(8),
                description=sentence(40),
                status=random.choice(("open", "in_progress", "resolved", "closed")),
                priority=random.randint(1, 4),
                created_by=random.choice(people),
                comments_count=COMMENTS_PER_TICKET,
            )
            for _number in range(tickets)
        ],
        batch_size=1000,
    )
    said = comment.objects.bulk_create(
        [
            comment(ticket=about, author=random.choice(people), content=sentence(25))
            for about in made
            for _number in range(COMMENTS_PER_TICKET)
        ],
        batch_size=1000,
    )
    event.objects.bulk_create(
        [
            *(event(ticket=about, actor=about.created_by, kind="ticket_created", source="command") for about in made),
            *(
                event(ticket=words.ticket, actor=words.author, comment=words, kind="comment_added", source="command")
                for words in said
            ),
        ],
        batch_size=1000,
    )


def sentence(length: int) -> str:
    return " ".join(random.choices(WORDS.split(), k=length))


if __name__ == "__main__":
    main()
