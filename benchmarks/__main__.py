"""Measures the product on servers that it starts: make bench, or make bench ARGS="requests --rows list,detail"."""

import argparse
import os
import sys
from collections.abc import Callable, Collection

from benchmarks import deliveries, http_requests, memory, sockets
from benchmarks.data import COMMENTS_PER_TICKET, fill
from benchmarks.load import UnexpectedResponseError
from benchmarks.report import environment
from benchmarks.rows import LATENCY_ROWS, ROWS

PARTS = {
    "requests": http_requests.measure,
    "sockets": sockets.measure,
    # After the sockets, since it adds agents, who are all notified of new tickets.
    "deliveries": deliveries.measure,
    "memory": memory.measure,
}
DEFAULT_PARTS = ["requests", "sockets", "deliveries"]
DEMO_DATA_BUDGET_SECONDS = 4


def main() -> None:
    options = read_options()
    if not (os.environ.get("DATABASE_URL") and os.environ.get("REDIS_URL")):
        sys.exit("DATABASE_URL and REDIS_URL are not set: `make bench` sets them.")
    print(*environment(), sep="\n")
    if options.tickets:
        seconds = fill(tickets=options.tickets)
        print(
            f"- {options.tickets:,} tickets with {COMMENTS_PER_TICKET} comments each, "
            f"created by `generate_fake_data` in {seconds:.1f} s (budget for 10,000: {DEMO_DATA_BUDGET_SECONDS} s)"
        )
    for part, measure in PARTS.items():
        if part in options.parts:
            print(f"\n## {part.title()}\n", flush=True)
            for line in measure(options):
                print(line, flush=True)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="?", type=choices(PARTS), default=DEFAULT_PARTS, help=", ".join(PARTS))
    parser.add_argument("--tickets", type=int, default=10_000, help="how many to create; 0 measures the existing data")
    keys = [*(row.key for row in ROWS), *(row.key for row in LATENCY_ROWS)]
    parser.add_argument("--rows", type=choices(keys), default=keys, help=f"of the requests: {', '.join(keys)}")
    stacks = list(http_requests.STACKS)
    parser.add_argument(
        "--stacks", type=choices(stacks), default=stacks, help=f"for the requests: {', '.join(stacks)}"
    )
    parser.add_argument("--seconds", type=float, default=3, help="for each row, after a quarter of it to warm up")
    parser.add_argument("--sockets", type=int, default=300, help="of agents with ten each")
    parser.add_argument("--emails", type=int, default=1_000, help="how many to deliver")
    parser.add_argument("--requests", type=int, default=100_000, help="after which memory is measured a second time")
    return parser.parse_args()


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
