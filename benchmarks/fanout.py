"""Measures the delivery of events to many websockets: python -m benchmarks.fanout --sockets 300."""

import argparse
import asyncio
import base64
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import cast

import psutil
import psycopg

from benchmarks.data import fill
from benchmarks.load import Address, Request, fetch
from benchmarks.servers import ROOT, SERVER_KINDS, environment, running_server
from helpdesk.demo import PASSWORD

SEED = 1
# helpdesk.tickets.models.NOTIFY_CHANNEL, which cannot be imported without Django.
NOTIFY_CHANNEL = "ticket_events"
SOCKETS_PER_USER = 10
WARM_UP_EVENTS = 3
POLL_SECONDS = 0.05
DELIVERY_TIMEOUT_SECONDS = 30
TEXT, PING_FRAME, LENGTH_16, LENGTH_64 = 1, 9, 126, 127
PONG, MASKED, MASK = 0x8A, 0x80, bytes(4)
# A text frame, masked with zeros as a client's may be.
PING = b"\x81\x8f" + MASK + b'{"type":"ping"}'
MAXIMUM_HEADER = 4


@dataclass
class Recorder:
    """When each event was committed, and when each connection has received it; events are numbered in their order."""

    ready: int = 0
    commits: list[float] = field(default_factory=list)
    arrivals: list[tuple[int, float]] = field(default_factory=list)

    def clear_arrivals(self) -> None:
        self.arrivals = []

    def latencies(self) -> list[float]:
        """Return the seconds from a commit to an arrival, sorted."""
        return sorted(max(0.0, arrived_at - self.commits[number]) for number, arrived_at in self.arrivals)


class Client(asyncio.Protocol):
    """A websocket client that does as little as possible, so that its own work is not measured."""

    def __init__(self, address: Address, token: str, recorder: Recorder) -> None:
        self.address, self.token, self.recorder = address, token, recorder
        self.unread = b""
        self.is_open = False
        self.count = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            f"GET /ws/notifications/?token={self.token} HTTP/1.1",
            f"Host: {self.address.host}:{self.address.port}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {key}",
        ]
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write("\r\n".join([*lines, "", ""]).encode())

    def data_received(self, data: bytes) -> None:
        arrived_at = time.monotonic()
        self.unread += data
        if not self.is_open:
            _head, end, rest = self.unread.partition(b"\r\n\r\n")
            if not end:
                return
            self.is_open, self.unread = True, rest
            self.transport.write(PING)
        for _event in range(self.count_events()):
            if self.count == 0:
                # The pong: from now on the connection gets every event.
                self.recorder.ready += 1
            else:
                self.recorder.arrivals.append((self.count - 1, arrived_at))
            self.count += 1

    def count_events(self) -> int:
        """Consume the complete frames of the unread bytes (RFC 6455, 5.2), and return how many were text."""
        events = 0
        while len(self.unread) >= MAXIMUM_HEADER:
            size, begin = self.unread[1], 2
            if size == LENGTH_16:
                size, begin = int.from_bytes(self.unread[2:4]), 4
            if size == LENGTH_64 or len(self.unread) < begin + size:
                break
            opcode, payload = self.unread[0] & 0x0F, self.unread[begin : begin + size]
            self.unread = self.unread[begin + size :]
            events += opcode == TEXT
            if opcode == PING_FRAME:
                self.transport.write(bytes([PONG, MASKED | size]) + MASK + payload)
        return events


@dataclass(frozen=True)
class Result:
    deliveries: int
    expected: int
    latencies: list[float]
    cpu_seconds: float
    announcer_cpu_seconds: float


async def measure(
    options: argparse.Namespace,
    *,
    sockets: Address,
    writes: Address,
    server: psutil.Process,
    announcer: psutil.Process,
) -> Result:
    """Connect the clients, open tickets at a steady pace, and wait until every client has every event."""
    recorder = Recorder()
    recording = asyncio.create_task(record_commits(recorder))
    tokens = [await asyncio.to_thread(token_of, writes, name) for name in usernames("agent", options.sockets)]
    author = await asyncio.to_thread(token_of, writes, "customer_1")
    loop = asyncio.get_running_loop()
    for number in range(options.sockets):
        token = tokens[number // SOCKETS_PER_USER]
        await loop.create_connection(lambda token=token: Client(sockets, token, recorder), *sockets)  # type: ignore[misc]
    while recorder.ready < options.sockets:  # noqa: ASYNC110 -- it counts
        await asyncio.sleep(POLL_SECONDS)

    async def write(events: int) -> None:
        """Open tickets, and wait until every client has their events."""
        expected = len(recorder.arrivals) + events * options.sockets
        for _number in range(events):
            body = {"title": "It blinks", "description": "In red."}
            await asyncio.to_thread(fetch, writes, Request("POST", "/api/tickets/", author, body, 201))
            await asyncio.sleep(options.interval)
        deadline = time.monotonic() + DELIVERY_TIMEOUT_SECONDS
        while len(recorder.arrivals) < expected and time.monotonic() < deadline:  # noqa: ASYNC110 -- it counts
            await asyncio.sleep(POLL_SECONDS)

    await write(WARM_UP_EVENTS)
    recorder.clear_arrivals()
    before = cpu_of(server), cpu_of(announcer)
    await write(options.events)
    after = cpu_of(server), cpu_of(announcer)
    recording.cancel()
    expected = options.events * options.sockets
    return Result(len(recorder.arrivals), expected, recorder.latencies(), after[0] - before[0], after[1] - before[1])


async def record_commits(recorder: Recorder) -> None:
    """Record the notifications that PostgreSQL sends when an event is committed."""
    async with await psycopg.AsyncConnection.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        await connection.execute(f"LISTEN {NOTIFY_CHANNEL}")
        async for _notification in connection.notifies():
            recorder.commits.append(time.monotonic())


def usernames(role: str, sockets: int) -> list[str]:
    return [f"{role}_{number + 1}" for number in range(users_for(sockets))]


def users_for(sockets: int) -> int:
    return -(-sockets // SOCKETS_PER_USER)


def token_of(address: Address, username: str) -> str:
    body = {"username": username, "password": PASSWORD}
    return str(fetch(address, Request("POST", "/api/auth/token/", body=body))["access"])


def cpu_of(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


@contextmanager
def running_announcer() -> Iterator[psutil.Process]:
    command = [sys.executable, "manage.py", "announce_events"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment(SERVER_KINDS["daphne"]), stderr=subprocess.DEVNULL)
    try:
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


def report(options: argparse.Namespace, result: Result) -> Iterator[str]:
    def milliseconds_at(share: float) -> float:
        return result.latencies[min(len(result.latencies) - 1, int(len(result.latencies) * share))] * 1000

    lost = result.expected - result.deliveries
    yield "| sockets | events | lost | CPU of a delivery, ms | announcer, ms an event | p50, ms | p99, ms | max, ms |"
    yield "|--:|--:|--:|--:|--:|--:|--:|--:|"
    yield (
        f"| {options.sockets} | {options.events} | {lost} | {result.cpu_seconds / result.deliveries * 1000:.3f} "
        f"| {result.announcer_cpu_seconds / options.events * 1000:.1f} "
        f"| {milliseconds_at(0.5):.0f} | {milliseconds_at(0.99):.0f} | {milliseconds_at(1):.0f} |"
    )


def main() -> None:
    options = read_options()
    if not (database_url := os.environ.get("DATABASE_URL", "")):
        sys.exit("DATABASE_URL is not set: `python -m compose.embedded run -- python -m benchmarks.fanout` sets it.")
    kind = SERVER_KINDS["daphne"]
    agents = f"--agents={users_for(options.sockets)}"
    fill(tickets=1, seed=SEED, database_url=database_url, environment=environment(kind), options=[agents])
    with running_server(kind) as (pid, sockets), running_server(kind) as (_, writes), running_announcer() as announcer:
        server = psutil.Process(pid)
        result = asyncio.run(measure(options, sockets=sockets, writes=writes, server=server, announcer=announcer))
    if not result.deliveries:
        sys.exit("No event was delivered.")
    print(*report(options, result), sep="\n")


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fanout", description=__doc__)
    parser.add_argument("--sockets", type=int, default=300, help="of agents with ten each")
    parser.add_argument("--events", type=int, default=50, help="new tickets, one after the other")
    parser.add_argument("--interval", type=float, default=0.1, help="seconds between two")
    return parser.parse_args()


if __name__ == "__main__":
    main()
