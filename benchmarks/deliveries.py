"""Measures what happens after a request: announcing its event, and delivering it by e-mail and websocket.

E-mails go to an SMTP server that greets after 100 ms.
"""

import argparse
import itertools
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from statistics import median

from benchmarks.data import discard_work, ensure_agents, sql, wait_until, wait_until_announced
from benchmarks.load import Request, fetch, send_all
from benchmarks.measurement import CONNECTIONS
from benchmarks.report import Figure, cpu_details, figures_table
from benchmarks.resources import cpu_ms_each
from benchmarks.rows import Sample, new_comment, new_comments, new_tickets, read_sample
from benchmarks.smtp_sink import Sink, running_sink
from benchmarks.stacks import WEB, Stack, running_production
from benchmarks.websocket_clients import Recorder, connected_clients, websocket_path
from compose.embedded.options import ROOT

WARM_UP_EVENTS = 5
EVENTS = 50
BURST = 1_000
WARM_UP_EMAILS = 100
AGENTS = 500
NEW_TICKETS = 3
SWEEP = ["-m", "celery", "--app", "config", "--quiet", "call", "helpdesk.emails.tasks.send_due_emails"]
PENDING = "SELECT count(*) FROM emails_email WHERE state = 'pending'"
ANNOUNCED_AFTER = """
    SELECT extract(epoch FROM announced_at - created_at) * 1000 FROM tickets_ticketevent
    WHERE ticket_id = %s AND kind = 'ticket_created'
"""
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


def measure(options: argparse.Namespace) -> Iterator[str]:
    """Yield the lines of a report."""
    discard_work()
    with running_production(*WEB, "announcer") as stack:
        figures = [*announce(read_sample(stack.http), stack)]
    discard_work()
    with running_sink() as sink:
        services = (*WEB, "websocket", "announcer", "worker", "beat")
        with running_production(*services, smtp_port=sink.port) as stack:
            sample = read_sample(stack.http)
            figures += [
                figure for recipients in (1, 10) for figure in deliver(options.emails, recipients, sink, stack)
            ]
            figures += comment_from_end_to_end(sample, sink, stack)
            ensure_agents(AGENTS)
            figures += new_ticket_to_all_agents(sample, sink, stack)
    yield from figures_table(figures)


def announce(sample: Sample, stack: Stack) -> Iterator[Figure]:
    """Announce comments, one after the other, then many that have been written meanwhile."""
    comments = new_comments(sample)
    announce_each(itertools.islice(comments, WARM_UP_EVENTS), stack)
    before = stack.resources.cpu_seconds()
    announce_each(itertools.islice(comments, EVENTS), stack)
    alone = cpu_ms_each(before, stack.resources.cpu_seconds(), EVENTS)
    yield Figure("announcer: a comment alone", alone["announcer"], "ms CPU", 4)
    announcer = stack.resources.processes["announcer"]
    announcer.suspend()
    send_all(stack.http, itertools.islice(comments, BURST), connections=CONNECTIONS)
    before, started_at = stack.resources.cpu_seconds(), time.monotonic()
    announcer.resume()
    wait_until_announced()
    seconds = time.monotonic() - started_at
    burst = cpu_ms_each(before, stack.resources.cpu_seconds(), BURST)
    name = f"announcer: each of {BURST:,} comments at once"
    yield Figure(name, burst["announcer"], "ms CPU", 1.5, details=f"all announced after {seconds:.1f} s")


def announce_each(comments: Iterable[Request], stack: Stack) -> None:
    for comment in comments:
        fetch(stack.http, comment)
        wait_until_announced()


def deliver(emails: int, recipients: int, sink: Sink, stack: Stack) -> Iterator[Figure]:
    """Deliver e-mails that wait, as after an outage."""
    deliver_batch(WARM_UP_EMAILS, recipients, sink, stack)
    before, connections = stack.resources.cpu_seconds(), sink.connections
    arrivals = deliver_batch(emails, recipients, sink, stack)
    cpu_ms = cpu_ms_each(before, stack.resources.cpu_seconds(), len(arrivals))
    name = f"one of {len(arrivals):,} e-mails, {recipients} for an event"
    total = cpu_ms["worker"] + cpu_ms["PostgreSQL"]
    yield Figure(f"{name}: worker and PostgreSQL", total, "ms CPU", 6, details=cpu_details(cpu_ms))
    yield Figure(
        f"{name}: a worker of two processes",
        len(arrivals) / (arrivals[-1] - arrivals[0]),
        "e-mails/s",
        150,
        is_minimum=True,
        details=f"connections {sink.connections - connections}",
    )


def deliver_batch(emails: int, recipients: int, sink: Sink, stack: Stack) -> list[float]:
    """Put e-mails of so many recipients an event into the outbox; return when each has arrived."""
    first = len(sink.arrivals)
    count = sql(ENQUEUE, {"events": max(1, emails // recipients), "recipients": recipients}).rowcount
    subprocess.run([sys.executable, *SWEEP], cwd=ROOT, env=stack.environment, stdout=subprocess.DEVNULL, check=True)
    wait_for_emails(first + count, sink)
    return sink.arrivals[first:]


def comment_from_end_to_end(sample: Sample, sink: Sink, stack: Stack) -> Iterator[Figure]:
    """Have an agent comment on a customer's ticket, who gets an e-mail and an event on one websocket."""
    ticket = fetch(stack.http, next(new_tickets(sample)))["id"]
    wait_until_delivered()
    recorder = Recorder()
    comments = itertools.repeat(new_comment(sample, ticket))
    with connected_clients(stack.websocket, [websocket_path(sample.customer)], recorder):
        for comment in itertools.islice(comments, WARM_UP_EVENTS):
            write_and_wait(comment, sink, recorder, stack)
        before = stack.resources.cpu_seconds()
        for comment in itertools.islice(comments, EVENTS):
            write_and_wait(comment, sink, recorder, stack)
        cpu_ms = cpu_ms_each(before, stack.resources.cpu_seconds(), EVENTS)
    total = sum(cpu_ms.values()) - cpu_ms["proxy"]
    name = "one comment: request, announcer, one e-mail, one websocket"
    yield Figure(name, total, "ms CPU without the proxy", 14, details=cpu_details(cpu_ms))


def write_and_wait(comment: Request, sink: Sink, recorder: Recorder, stack: Stack) -> None:
    emails, frames = len(sink.arrivals) + 1, len(recorder.arrivals) + 1
    fetch(stack.http, comment)
    wait_until(
        lambda: len(sink.arrivals) >= emails and len(recorder.arrivals) >= frames,
        what="the e-mail and the event have arrived",
    )


def new_ticket_to_all_agents(sample: Sample, sink: Sink, stack: Stack) -> Iterator[Figure]:
    """Open tickets, one after the other, each of which notifies all agents."""
    announced, delivered = [], []
    for request in itertools.islice(new_tickets(sample), NEW_TICKETS):
        emails = len(sink.arrivals) + AGENTS
        ticket, answered_at = fetch(stack.http, request)["id"], time.monotonic()
        wait_for_emails(emails, sink)
        delivered.append(sink.arrivals[-1] - answered_at)
        row = sql(ANNOUNCED_AFTER, [ticket]).fetchone()
        announced.append(float(row[0]) if row else 0)
    name = f"a new ticket to {AGENTS} agents"
    yield Figure(f"{name}: announced after", median(announced), "ms, median", 60)
    yield Figure(f"{name}: the last e-mail is handed over after", median(delivered), "s, median", 5)


def wait_for_emails(count: int, sink: Sink) -> None:
    wait_until(lambda: len(sink.arrivals) >= count, what="all e-mails have arrived")


def wait_until_delivered() -> None:
    """Wait until every event is announced and no e-mail is pending."""
    wait_until_announced()
    wait_until(lambda: sql(PENDING).fetchone() == (0,), what="no e-mail is pending")
