"""Measures the CPU time of HTTP requests on web servers that it starts: make bench ARGS="--rows list,detail"."""

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Collection

from benchmarks import deliveries, report
from benchmarks.cpu import CpuClock
from benchmarks.data import COMMENTS_PER_TICKET, fill
from benchmarks.load import UnexpectedResponseError
from benchmarks.measurement import Figures, measure
from benchmarks.rows import ROWS, read_sample
from benchmarks.servers import SERVER_KINDS, ServerKind, environment, running_server

SEED = 1
DEMO_DATA_BUDGET_SECONDS = 4


def main() -> None:
    options = read_options()
    database_url, redis_url = (os.environ.get(name, "") for name in ("DATABASE_URL", "REDIS_URL"))
    if not (database_url and redis_url):
        sys.exit("DATABASE_URL and REDIS_URL are not set: `make bench` sets them.")
    if options.tickets:
        seconds = fill(
            tickets=options.tickets,
            seed=SEED,
            database_url=database_url,
            environment=environment(SERVER_KINDS["daphne"]),
        )
        print(
            f"- {options.tickets:,} tickets with {COMMENTS_PER_TICKET} comments each, "
            f"created by `generate_fake_data` in {seconds:.1f} s (budget for 10,000: {DEMO_DATA_BUDGET_SECONDS} s)"
        )
    if options.emails:
        print_deliveries(options, database_url=database_url, redis_url=redis_url)
        return
    for kind in [SERVER_KINDS[name] for name in options.servers]:
        if not kind.is_installed:
            print(f"\nNot measured on {kind.package}: it is in requirements/production.txt and not installed here.")
            continue
        figures = measure_on(kind, options, database_url=database_url, redis_url=redis_url)
        print(
            "",
            *report.environment(kind, seconds=options.seconds, database_url=database_url, redis_url=redis_url),
            "",
            *report.table(figures, kind),
            sep="\n",
            flush=True,
        )


def print_deliveries(options: argparse.Namespace, *, database_url: str, redis_url: str) -> None:
    figures = [
        asyncio.run(
            deliveries.measure_deliveries(
                emails=options.emails, recipients=recipients, database_url=database_url, redis_url=redis_url
            )
        )
        for recipients in options.recipients
    ]
    print("", *deliveries.table(figures), sep="\n")


def measure_on(kind: ServerKind, options: argparse.Namespace, *, database_url: str, redis_url: str) -> list[Figures]:
    with running_server(kind) as (pid, address):
        cpu_clock = CpuClock(server_pid=pid, database_url=database_url, redis_url=redis_url)
        sample = read_sample(address, seed=SEED)
        figures = []
        for row in ROWS:
            if row.key in options.rows:
                print(f"{kind.package} {row.key}", file=sys.stderr, flush=True)
                figures.append(measure(row, sample, address=address, cpu_clock=cpu_clock, seconds=options.seconds))
        return figures


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    keys = [row.key for row in ROWS]
    parser.add_argument("--rows", type=choices(keys), default=keys, help=", ".join(keys))
    parser.add_argument(
        "--server",
        type=choices(SERVER_KINDS),
        default=list(SERVER_KINDS),
        dest="servers",
        help=", ".join(SERVER_KINDS),
    )
    parser.add_argument("--seconds", type=float, default=5, help="for each row, after a quarter of it to warm up")
    parser.add_argument("--tickets", type=int, default=10_000, help="how many to create; 0 measures the existing data")
    parser.add_argument(
        "--emails", type=int, default=0, help="deliver that many e-mails, instead of answering requests"
    )
    parser.add_argument(
        "--recipients", type=numbers, default=[1, 10], help="how many recipients an event has, such as 1,10"
    )
    return parser.parse_args()


def numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def choices(known: Collection[str]) -> Callable[[str], list[str]]:
    """Return an argument type that splits a comma-separated list of known names."""

    def parse(text: str) -> list[str]:
        names = text.split(",")
        if unknown := set(names) - set(known):
            raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: choose from {', '.join(known)}")
        return names

    return parse


if __name__ == "__main__":
    try:
        main()
    except* UnexpectedResponseError as wrong:
        sys.exit(f"The benchmark stops: {wrong.exceptions[0]}")
