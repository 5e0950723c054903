"""Measures the delivery of e-mails by a Celery worker, to an SMTP server that greets late: make bench ARGS="--emails 1000".

Rows are put into the outbox and the sweep queues them, as after an outage; the worker runs as production's container does.
"""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import psycopg

from benchmarks.cpu import PARTS, CpuClock
from benchmarks.servers import ROOT, SERVER_KINDS, environment
from compose.embedded.ports import LOOPBACK
from compose.embedded.processes import kill_group, start_process
from compose.embedded.product import common_environment, script
from compose.embedded.production import SCRIPTS

GREETING_DELAY_SECONDS = 0.1
WARM_UP_EMAILS = 100
START_SECONDS = 30
STALL_SECONDS = 120
POLL_SECONDS = 0.05
SWEEP = ["-m", "celery", "--app", "config", "--quiet", "call", "helpdesk.emails.tasks.send_due_emails"]
SWEEP_SECONDS = 15
# Every event has the same recipients, who alternate between the languages.
ENQUEUE = """
    INSERT INTO emails_email
        (uuid, event_id, request_id, kind, subject, recipient_id, address, language, state, error, attempts)
    SELECT gen_random_uuid(), event.id, '', event.kind, '[Ticket #' || event.ticket_id || '] Title', recipient.id,
        recipient.email, CASE recipient.id %% 2 WHEN 0 THEN 'en' ELSE 'es' END, 'pending', '', 0
    FROM (
        SELECT id, kind, ticket_id FROM tickets_ticketevent WHERE kind = 'ticket_created'
            AND NOT EXISTS (SELECT FROM emails_email WHERE event_id = tickets_ticketevent.id)
        ORDER BY id LIMIT %(events)s
    ) AS event, (
        SELECT id, email FROM users_user WHERE role = 'agent' AND is_active ORDER BY id LIMIT %(recipients)s
    ) AS recipient
    ORDER BY event.id, recipient.id
"""


@dataclass(frozen=True)
class DeliveryFigures:
    emails: int
    recipients: int
    connections: int
    seconds: float
    cpu_ms: Mapping[str, float]
    """For each e-mail, by part."""


class Sink:
    """What has arrived at the SMTP server, by the clock of `time.monotonic`."""

    def __init__(self) -> None:
        self.arrivals: list[float] = []
        self.connections = 0


class Session(asyncio.Protocol):
    """A session of the SMTP server (RFC 5321), which accepts everything and does as little as possible."""

    transport: asyncio.WriteTransport

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.unread, self.is_in_data = b"", False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.WriteTransport", transport)
        self.sink.connections += 1
        asyncio.get_running_loop().call_later(GREETING_DELAY_SECONDS, self.reply, "220 Welcome")

    def data_received(self, data: bytes) -> None:
        self.unread += data
        while True:
            line, found, rest = self.unread.partition(b"\r\n.\r\n" if self.is_in_data else b"\r\n")
            if not found:
                return
            self.unread = rest
            self.handle(line)

    def handle(self, line: bytes) -> None:
        if self.is_in_data:
            self.sink.arrivals.append(time.monotonic())
            self.is_in_data = False
            self.reply("250 Accepted")
        elif line.upper() == b"DATA":
            self.is_in_data = True
            self.reply("354 Go on")
        elif line.upper() == b"QUIT":
            self.reply("221 Bye")
            self.transport.close()
        else:
            self.reply("250 OK")

    def reply(self, line: str) -> None:
        if not self.transport.is_closing():
            self.transport.write(line.encode() + b"\r\n")


async def measure_deliveries(*, emails: int, recipients: int, database_url: str, redis_url: str) -> DeliveryFigures:
    """Have a worker deliver e-mails of events with so many recipients each; at least one, and at most the agents."""
    sink = Sink()
    server = await asyncio.get_running_loop().create_server(lambda: Session(sink), LOOPBACK, 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        with running_worker(smtp_port=port) as (pid, variables):
            clock = CpuClock(server_pid=pid, database_url=database_url, redis_url=redis_url)
            await deliver(WARM_UP_EMAILS, recipients, sink, database_url, variables)
            sink.arrivals.clear()
            sink.connections = 0
            before = clock.cpu_seconds()
            count = await deliver(emails, recipients, sink, database_url, variables)
            after = clock.cpu_seconds()
    seconds = sink.arrivals[-1] - sink.arrivals[0]
    cpu_ms = {part: (after[part] - before[part]) * 1000 / count for part in before}
    return DeliveryFigures(count, recipients, sink.connections, seconds, cpu_ms)


async def deliver(emails: int, recipients: int, sink: Sink, database_url: str, variables: Mapping[str, str]) -> int:
    """Enqueue e-mails, and wait until they have arrived; return their number."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        parameters = {"events": max(1, emails // recipients), "recipients": recipients}
        count = connection.execute(ENQUEUE, parameters).rowcount
    began_at = time.monotonic()
    swept_at = began_at - SWEEP_SECONDS
    while len(sink.arrivals) < count:
        now = time.monotonic()
        if now - max([began_at, *sink.arrivals[-1:]]) > STALL_SECONDS:
            sys.exit("No e-mail arrives any more.")
        if now - swept_at >= SWEEP_SECONDS:
            swept_at = now
            await asyncio.to_thread(subprocess.run, [sys.executable, *SWEEP], cwd=ROOT, env=variables, check=True)
        await asyncio.sleep(POLL_SECONDS)
    return count


@contextmanager
def running_worker(*, smtp_port: int) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Run the worker of production; yield the process id of its start script and its environment."""
    addresses = {"EMAIL_HOST": LOOPBACK, "EMAIL_PORT": str(smtp_port)}
    variables = common_environment(environment(SERVER_KINDS["granian"]) | addresses)
    with tempfile.NamedTemporaryFile() as log:
        command = script(SCRIPTS / "celery" / "worker" / "start")
        process = start_process(command, cwd=ROOT, env=variables, stdout=log, stderr=subprocess.STDOUT)
        try:
            wait_until_ready(process, Path(log.name))
            yield process.pid, variables
        finally:
            kill_group(process.pid)
            process.wait()


def wait_until_ready(process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if " ready." in log.read_text():
            return
        time.sleep(POLL_SECONDS)
    sys.exit(f"The worker does not start:\n{log.read_text()}")


def table(figures: Iterable[DeliveryFigures]) -> Iterator[str]:
    yield f"| e-mails | recipients of an event | ms CPU | {' | '.join(PARTS)} | e-mails/s | connections |"
    yield f"|--:|--:|--:|{'--:|' * len(PARTS)}--:|--:|"
    for row in figures:
        parts = " | ".join(f"{row.cpu_ms[part]:.2f}" for part in PARTS)
        total, rate = sum(row.cpu_ms.values()), row.emails / row.seconds
        yield f"| {row.emails:,} | {row.recipients} | {total:.2f} | {parts} | {rate:.0f} | {row.connections} |"
