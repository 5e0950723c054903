import pytest
from django.test import Client

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
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
    yield server
    server.controller.stop()


@pytest.fixture
def django_client_with_csrf():
    """A client for which Django checks CSRF tokens, as outside tests."""
    return Client(enforce_csrf_checks=True)
