"""From a comment to the mail server through real processes: the announcer and a Celery worker."""

import os
import subprocess
import sys
from contextlib import contextmanager, suppress
from tempfile import TemporaryFile

import psutil
import pytest
from django.db.models.functions import Now

from compose.embedded.options import ROOT
from helpdesk.emails.models import Email
from helpdesk.testing import database_url
from helpdesk.tickets import actions
from helpdesk.tickets.actions import Origin
from helpdesk.tickets.models import EventSource
from helpdesk.tickets.tests.factories import TicketFactory
from helpdesk.users.tests.factories import UserFactory

ANNOUNCER = ["manage.py", "announce_events"]
WORKER = ["-m", "celery", "-A", "config", "worker", "--concurrency", "1", "--without-gossip", "--without-mingle"]


@pytest.fixture
def environment(smtp):
    """What the processes need to work on this test's database and Redis and with this mail server."""
    return {
        **os.environ,
        "DATABASE_URL": database_url(),
        "DJANGO_SETTINGS_MODULE": "config.settings.test",
        "EMAIL_HOST": "127.0.0.1",
        "EMAIL_PORT": str(smtp.port),
    }


@contextmanager
def running(arguments, environment):
    """Run a process, and end it together with its children; prints their output."""
    with TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [sys.executable, *arguments], cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            yield
        finally:
            kill(psutil.Process(process.pid))
            process.wait()
            log.seek(0)
            sys.stdout.write(log.read())


def kill(process):
    """Kill a process and its children; it first, as it would replace them."""
    for each in [process, *process.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            each.kill()


@pytest.fixture
def comment(transactional_db):
    """A comment of an agent's on a ticket that a customer opened."""
    alice = UserFactory(username="alice")
    agatha = UserFactory(username="agatha", agent=True)
    ticket = TicketFactory(created_by=alice, title="Printer")
    return actions.add_comment(Origin(agatha, EventSource.API), ticket.pk, content="It is plugged in now.")


def test_a_comment_is_emailed_once_even_if_the_worker_is_killed_while_it_sends(comment, environment, smtp):
    smtp.is_hanging = True
    with running(ANNOUNCER, environment):
        with running(WORKER, environment):
            assert smtp.wait_for(received=1)
        # The lease of the killed worker.
        assert Email.objects.filter(state="pending", attempts=1, lease_until__gt=Now()).exists()
        Email.objects.update(lease_until=Now())
        smtp.is_hanging = False
        with running(WORKER, environment):
            subprocess.run(
                [sys.executable, "-m", "celery", "-A", "config", "call", "helpdesk.emails.tasks.send_due_emails"],
                cwd=ROOT,
                env=environment,
                check=True,
                stdout=subprocess.DEVNULL,
            )
            assert smtp.wait_for(accepted=1)

    (message,) = smtp.accepted
    assert message["To"] == "alice@example.com"
    assert message["Subject"] == f"[Ticket #{comment.ticket_id}] New Comment"
    assert "It is plugged in now." in message.get_body(("plain",)).get_content()
    assert "It is plugged in now." in message.get_body(("html",)).get_content()
    assert len({received["Message-ID"] for received in smtp.received}) == 1
