"""Celery's processes of production, started by their own scripts."""

import os
import socket
import subprocess

import httpx
import pytest
from celery import current_app

from compose.embedded.options import ROOT
from compose.embedded.ports import LOOPBACK, free_port
from compose.embedded.product import script
from compose.embedded.production import SCRIPTS
from compose.tests import compose_files
from compose.tests.production_stack import WORKERS
from compose.tests.servers import production_environment, running, wait_until_logged
from helpdesk.emails import receivers
from helpdesk.emails.actions import enqueue_account_email
from helpdesk.emails.models import Email, EmailKind, EmailState
from helpdesk.emails.tasks import BATCH_SIZE, get_queue_length
from helpdesk.emails.tests.factories import EmailFactory
from helpdesk.emails.tests.smtp import MailServer
from helpdesk.users.models import Language

CONCURRENCY = 2
TICKET_EMAILS = (CONCURRENCY + 1) * BATCH_SIZE
PRODUCTION = compose_files.read_compose_file(compose_files.PRODUCTION)["services"]

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_workers_health_check_distinguishes_one_that_works_from_none(tmp_path):
    files = tmp_path / "files"
    files.mkdir()
    environment = production_environment("https://localhost") | {
        "HOSTNAME": socket.gethostname(),
        "TMPDIR": str(files),
    }
    kind, command = PRODUCTION["celeryworker"]["healthcheck"]["test"]
    check = ["sh", "-c", command.replace("$$", "$")]
    log = tmp_path / "worker.log"

    with running([str(SCRIPTS / "celery" / "worker" / "start")], environment, log) as worker:
        wait_until_logged(lambda: log.read_text().count(" ready.") == WORKERS, tmp_path)
        working = subprocess.run(check, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        worker.terminate()
        code = worker.wait(30)
        none = subprocess.run(check, cwd=ROOT, env=environment, capture_output=True, check=False)

    assert kind == "CMD-SHELL"
    assert working.returncode == 0, working.stdout + working.stderr
    assert code == 0
    assert none.returncode != 0
    assert list(files.iterdir()) == []


class SlowForTickets(MailServer):
    """An SMTP server that answers to no e-mail about a ticket."""

    async def handle_DATA(self, server, session, envelope):  # noqa: N802 -- the name aiosmtpd calls
        self.is_hanging = b"Subject: [Ticket #" in envelope.content
        return await super().handle_DATA(server, session, envelope)


def test_a_password_reset_does_not_wait_behind_the_emails_of_tickets(tmp_path):
    smtp = SlowForTickets()
    smtp.controller.start()
    environment = production_environment("https://localhost") | {"EMAIL_PORT": str(smtp.port)}
    of_tickets = EmailFactory.create_batch(TICKET_EMAILS)
    reset = enqueue_account_email(
        EmailKind.PASSWORD_RESET, address=of_tickets[0].recipient.email, language=Language.ENGLISH
    )
    try:
        with running([str(SCRIPTS / "celery" / "worker" / "start")], environment, tmp_path / "worker.log"):
            receivers.queue_ticket_emails([[email.pk for email in of_tickets]])
            # Every process that sends them is busy, and batches wait.
            assert smtp.wait_for(received=CONCURRENCY)
            assert get_queue_length(current_app.conf.task_default_queue) > 0
            receivers.queue_account_emails([[reset]])
            assert smtp.wait_for(accepted=1)
    finally:
        smtp.controller.stop()

    assert [message["Subject"] for message in smtp.accepted] == ["Reset your password"]
    assert not Email.objects.filter(event__isnull=False, state=EmailState.SENT).exists()


def test_flower_asks_for_the_password(tmp_path):
    port = free_port()
    command = script(SCRIPTS / "celery" / "flower" / "start", PORT=port)
    environment = production_environment("https://localhost") | {
        "CELERY_FLOWER_USER": "operator",
        "CELERY_FLOWER_PASSWORD": "secret",
    }
    check = [str(SCRIPTS / "healthcheck"), str(port), "/healthcheck"]

    def is_healthy():
        return subprocess.run(check, env=environment, capture_output=True, check=False).returncode == 0

    with running(command, environment, tmp_path / "flower.log"):
        wait_until_logged(is_healthy, tmp_path)
        url = f"http://{LOOPBACK}:{port}/workers"
        statuses = [
            httpx.get(url, auth=auth).status_code for auth in (None, ("operator", "wrong"), ("operator", "secret"))
        ]

    assert statuses == [401, 401, 200]


@pytest.mark.parametrize("missing", ["CELERY_FLOWER_USER", "CELERY_FLOWER_PASSWORD"])
def test_flower_does_not_start_without_a_password(missing):
    environment = {
        "PATH": os.defpath,
        "CELERY_FLOWER_USER": "operator",
        "CELERY_FLOWER_PASSWORD": "secret",
        missing: "",
    }

    ended = subprocess.run(
        [str(SCRIPTS / "celery" / "flower" / "start")], env=environment, capture_output=True, text=True, check=False
    )

    assert ended.returncode == 1
    assert ended.stderr == "helpdesk: Flower does not start: set CELERY_FLOWER_USER and CELERY_FLOWER_PASSWORD.\n"
