"""Measures the delivery of events to many websockets of one process, and its replay to clients that come back."""

import argparse
import itertools
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from threading import Event, Thread

import psycopg

from benchmarks.data import connect, discard_work, ensure_agents, sql, wait_until, wait_until_announced
from benchmarks.load import Address, fetch, percentile, send_all
from benchmarks.measurement import CONNECTIONS
from benchmarks.report import Figure, figures_table
from benchmarks.resources import cpu_ms_each
from benchmarks.rows import Sample, first_page, new_tickets, read_sample, token
from benchmarks.stacks import WEB, Stack, running_production
from benchmarks.websocket_clients import Recorder, connected_clients, websocket_path

# helpdesk.tickets.models.NOTIFY_CHANNEL, which cannot be imported without Django.
NOTIFY_CHANNEL = "ticket_events"
SOCKETS_PER_USER = 10
SOCKETS_OF_BUDGET = 300
WARM_UP_EVENTS = 3
EVENTS = 40
INTERVAL_SECONDS = 0.4
# At more sockets an event takes longer than that.
INTERVAL_SECONDS_PER_SOCKET = 0.0002
REPLAYED_EVENTS = 1_000
REPLAY_CLIENTS = 200
QUIET_SECONDS = 3.0
SLICE_SECONDS = 0.5
POLL_SECONDS = 0.1
OTHER_FILES = 200
LAST_SEQ = "SELECT last_seq FROM notifications_stream JOIN users_user ON users_user.id = user_id WHERE username = %s"


def measure(options: argparse.Namespace) -> Iterator[str]:
    """Yield the lines of a report."""
    allow_open_files(options.sockets + OTHER_FILES)
    discard_work()
    ensure_agents(users_for(max(options.sockets, REPLAY_CLIENTS)))
    with running_production(*WEB, "websocket", "announcer") as stack:
        sample = read_sample(stack.http)
        figures = [*fan_out(options.sockets, sample, stack), *replay(sample, stack)]
    yield from figures_table(figures)


def fan_out(sockets: int, sample: Sample, stack: Stack) -> Iterator[Figure]:
    """Open tickets at a steady pace, which every client is notified of."""
    recorder = Recorder()
    paths = websocket_paths(sockets, stack)
    with recorded_commits() as commits, connected_clients(stack.websocket, paths, recorder):
        open_tickets(WARM_UP_EVENTS, sockets, sample, stack, recorder)
        before = stack.resources.cpu_seconds()
        open_tickets(EVENTS, sockets, sample, stack, recorder)
        cpu_ms = cpu_ms_each(before, stack.resources.cpu_seconds(), EVENTS)
    latencies = sorted(max(0, at - commits[event]) for event, at in recorder.arrivals if event >= WARM_UP_EVENTS)
    is_budgeted = sockets == SOCKETS_OF_BUDGET
    yield Figure(
        f"{sockets:,} sockets: a delivery, the write included",
        (cpu_ms["websocket"] + cpu_ms["web"]) / sockets,
        "ms CPU",
        0.06 if is_budgeted else None,
        details=f"websocket {cpu_ms['websocket'] / sockets:.3f}; the announcer, an event: {cpu_ms['announcer']:.1f}",
    )
    yield Figure(
        f"{sockets:,} sockets: from the commit to the arrival",
        percentile(latencies, 0.99),
        "ms, p99",
        60 if is_budgeted else None,
        details=f"p50 {percentile(latencies, 0.5):.0f}, slowest {percentile(latencies, 1):.0f}",
    )


def open_tickets(events: int, sockets: int, sample: Sample, stack: Stack, recorder: Recorder) -> None:
    """Open tickets, and wait until every client has their events."""
    expected = len(recorder.arrivals) + events * sockets
    interval = max(INTERVAL_SECONDS, sockets * INTERVAL_SECONDS_PER_SOCKET)
    for request in itertools.islice(new_tickets(sample), events):
        fetch(stack.http, request)
        time.sleep(interval)
    wait_until(lambda: len(recorder.arrivals) >= expected, what="every socket has every event")


@contextmanager
def recorded_commits() -> Iterator[list[float]]:
    """Yield a growing list of when PostgreSQL has notified of a committed event, by time.monotonic."""
    commits: list[float] = []
    stopped = Event()

    def record(connection: psycopg.Connection) -> None:
        while not stopped.is_set():
            commits.extend(time.monotonic() for _ in connection.notifies(timeout=POLL_SECONDS))

    with connect() as connection:
        connection.execute(f"LISTEN {NOTIFY_CHANNEL}")
        thread = Thread(target=record, args=[connection])
        thread.start()
        try:
            yield commits
        finally:
            stopped.set()
            thread.join()


def replay(sample: Sample, stack: Stack) -> Iterator[Figure]:
    """Have clients come back at once after many events, while another process requests lists."""
    send_all(stack.http, itertools.islice(new_tickets(sample), REPLAYED_EVENTS), connections=CONNECTIONS)
    wait_until_announced()
    paths = websocket_paths(REPLAY_CLIENTS, stack, missed=REPLAYED_EVENTS)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process, ThreadPoolExecutor(1) as thread:
        quiet = process.submit(time_lists, stack.http, sample, QUIET_SECONDS).result()
        replayed = thread.submit(resume, stack, paths)
        latencies: list[float] = []
        while not replayed.done():
            latencies += process.submit(time_lists, stack.http, sample, SLICE_SECONDS).result()
    clients = f"{REPLAY_CLIENTS} clients resume {REPLAYED_EVENTS:,} events each"
    seconds, retries = replayed.result()
    yield Figure(f"{clients}: until all have them", seconds, "s", details=f"handshakes repeated: {retries}")
    yield Figure(
        f"{clients}: `GET /api/tickets/` meanwhile",
        percentile(sorted(latencies), 0.95),
        "ms, p95",
        details=f"without them {percentile(quiet, 0.95):.1f}",
    )


def resume(stack: Stack, paths: Sequence[str]) -> tuple[float, int]:
    """Return the seconds until every client has its events and the frame that ends the replay, and the retries."""
    recorder = Recorder()
    expected = len(paths) * (REPLAYED_EVENTS + 1)
    started_at = time.monotonic()
    with connected_clients(stack.websocket, paths, recorder):
        wait_until(lambda: len(recorder.arrivals) >= expected, what="every client has the replayed events")
    return recorder.arrivals[-1][1] - started_at, recorder.retries


def time_lists(address: Address, sample: Sample, seconds: float) -> list[float]:
    return send_all(address, first_page(sample), connections=1, seconds=seconds)


def websocket_paths(sockets: int, stack: Stack, *, missed: int | None = None) -> list[str]:
    """Return the path of each socket, ten for each agent; with `missed` so many newest events are replayed."""
    paths = []
    for number in range(1, users_for(sockets) + 1):
        username = f"agent_{number}"
        since = None if missed is None else last_seq(username) - missed
        paths += [websocket_path(token(stack.http, username), since=since)] * SOCKETS_PER_USER
    return paths[:sockets]


def last_seq(username: str) -> int:
    """Return the number of the newest event in the user's inbox."""
    row = sql(LAST_SEQ, [username]).fetchone()
    return int(row[0]) if row else 0


def users_for(sockets: int) -> int:
    return -(-sockets // SOCKETS_PER_USER)


def allow_open_files(count: int) -> None:
    """Raise the limit of this process, and of those that it starts; sys.exit if the system does not allow so many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(count, soft), hard))
    except ValueError:
        sys.exit(f"{count:,} open files are needed, and the system allows {hard:,} (ulimit -Hn).")
