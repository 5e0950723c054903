"""Measures the CPU time of a request over HTTP, on web servers of its own: make bench ARGS="--rows list,detail"."""

import argparse
import os
import sys
from collections.abc import Callable, Collection

from benchmarks import report
from benchmarks.cpu import Machinery
from benchmarks.data import COMMENTS_PER_TICKET, fill
from benchmarks.load import UnexpectedAnswerError
from benchmarks.measurement import Figures, measure
from benchmarks.rows import ROWS, explore
from benchmarks.servers import KINDS, Kind, environment, running_server

SEED = 1
DEMO_DATA_BUDGET_SECONDS = 2.5


def main() -> None:
    options = read_options()
    database_url, redis_url = (os.environ.get(name, "") for name in ("DATABASE_URL", "REDIS_URL"))
    if not (database_url and redis_url):
        sys.exit("DATABASE_URL and REDIS_URL are not set: `make bench` sets them.")
    if options.tickets:
        seconds = fill(
            tickets=options.tickets, seed=SEED, database_url=database_url, environment=environment(KINDS["daphne"])
        )
        print(
            f"- {options.tickets:,} tickets with {COMMENTS_PER_TICKET} comments each, "
            f"made by `generate_fake_data` in {seconds:.1f} s (budget for 10,000: {DEMO_DATA_BUDGET_SECONDS} s)"
        )
    for kind in [KINDS[name] for name in options.servers]:
        if not kind.is_installed:
            print(f"\nNot measured on {kind.package}: it is in requirements/production.txt and not installed here.")
            continue
        figures = measured_on(kind, options, database_url=database_url, redis_url=redis_url)
        print(
            "",
            *report.circumstances(kind, seconds=options.seconds, database_url=database_url, redis_url=redis_url),
            "",
            *report.table(figures, kind),
            sep="\n",
            flush=True,
        )


def measured_on(kind: Kind, options: argparse.Namespace, *, database_url: str, redis_url: str) -> list[Figures]:
    with running_server(kind) as (pid, address):
        machinery = Machinery(server_pid=pid, database_url=database_url, redis_url=redis_url)
        site = explore(address, seed=SEED)
        figures = []
        for row in ROWS:
            if row.key in options.rows:
                print(f"{kind.package} {row.key}", file=sys.stderr, flush=True)
                figures.append(measure(row, site, address=address, machinery=machinery, seconds=options.seconds))
        return figures


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    keys = [row.key for row in ROWS]
    parser.add_argument("--rows", type=some_of(keys), default=keys, help=", ".join(keys))
    parser.add_argument("--server", type=some_of(KINDS), default=list(KINDS), dest="servers", help=", ".join(KINDS))
    parser.add_argument("--seconds", type=float, default=5, help="for each row, after a quarter of it to warm up")
    parser.add_argument(
        "--tickets", type=int, default=10_000, help="how many to make; 0 measures the data that is there"
    )
    return parser.parse_args()


def some_of(known: Collection[str]) -> Callable[[str], list[str]]:
    def names(text: str) -> list[str]:
        chosen = text.split(",")
        if unknown := set(chosen) - set(known):
            raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: choose from {', '.join(known)}")
        return chosen

    return names


if __name__ == "__main__":
    try:
        main()
    except* UnexpectedAnswerError as wrong:
        sys.exit(f"The benchmark stops: {wrong.exceptions[0]}")
