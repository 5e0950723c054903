import uuid

import pytest
from celery import current_app
from django.test import Client

from helpdesk.emails.tasks import send_emails
from helpdesk.emails.tests.smtp import MailServer
from helpdesk.tickets.announcer import Announcer


@pytest.fixture
def announce():
    return Announcer().announce_all


@pytest.fixture
def smtp(settings):
    """A real SMTP server, which the settings name."""
    server = MailServer()
    server.controller.start()
    settings.EMAIL_BACKEND = "helpdesk.emails.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
    yield server
    server.controller.stop()


@pytest.fixture
def queued(monkeypatch):
    """The ids of the e-mails that were queued."""
    ids = []
    monkeypatch.setattr(send_emails, "apply_async", lambda args, **options: ids.extend(*args))
    return ids


@pytest.fixture
def queue():
    """Use a queue of this test alone; return a function that puts messages into it."""
    usual, name = current_app.conf.task_default_queue, f"queue-{uuid.uuid4().hex}"
    with current_app.connection_for_write() as connection, connection.SimpleQueue(name) as messages:

        def put(count):
            for number in range(count):
                messages.put(number)

        current_app.conf.task_default_queue = name
        yield put
        current_app.conf.task_default_queue = usual
        messages.clear()


@pytest.fixture
def django_client_with_csrf():
    """A client for which Django checks CSRF tokens, as outside tests."""
    return Client(enforce_csrf_checks=True)
