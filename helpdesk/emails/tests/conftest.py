import pytest
from django.test import Client

from helpdesk.emails import receivers
from helpdesk.emails.tasks import send_email
from helpdesk.emails.tests.smtp import MailServer
from helpdesk.tickets.announcer import Announcer


@pytest.fixture
def send_at_once(monkeypatch):
    """Send what is passed to the workers in the test itself."""
    monkeypatch.setattr(receivers.sending, "give", lambda email_ids: [send_email(email_id) for email_id in email_ids])


@pytest.fixture
def announce():
    return Announcer().announce_all


@pytest.fixture
def smtp(settings):
    """A real SMTP server, to which the settings lead."""
    server = MailServer()
    server.controller.start()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
    yield server
    server.controller.stop()


@pytest.fixture
def django_client_with_csrf():
    """A browser's client for which Django checks CSRF tokens, as it does outside tests."""
    return Client(enforce_csrf_checks=True)
