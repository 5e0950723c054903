"""What every test can ask for."""

import pytest
from django.core.cache import cache
from django.test import TestCase
from django.utils import translation
from rest_framework.test import APIClient

from helpdesk.core.redis import circuit
from helpdesk.core.tests.valkey import Valkey
from helpdesk.core.throttles import limiter
from helpdesk.emails import receivers
from helpdesk.emails.tasks import send_emails
from helpdesk.testing import UNREACHABLE_REDIS_URL
from helpdesk.tickets.tests.factories import TicketFactory
from helpdesk.users.actions import issue_tokens
from helpdesk.users.tests.factories import UserFactory


class CommittingClient(APIClient):
    """Runs what a request leaves for after its commit, as the server would, inside the test's own transaction."""

    def request(self, **kwargs):
        with TestCase.captureOnCommitCallbacks(execute=True):
            return super().request(**kwargs)


@pytest.fixture
def api():
    """Return a function from a user, or None for anonymous, to a client that speaks for them."""

    def client_of(user=None):
        client = CommittingClient()
        if user is not None:
            client.credentials(HTTP_AUTHORIZATION=f"Bearer {issue_tokens(user)['access']}")
        return client

    return client_of


@pytest.fixture(autouse=True)
def empty_cache():
    cache.clear()
    circuit.close()


@pytest.fixture(autouse=True)
def default_language():
    """LocaleMiddleware leaves the language of the last request to the thread."""
    translation.deactivate()


@pytest.fixture
def immediate_delivery(monkeypatch):
    """Send e-mails in the test's own thread, as soon as they are passed to the workers."""
    for queue in (receivers.delivery_queue, receivers.account_queue):
        monkeypatch.setattr(queue, "put", send_emails)


@pytest.fixture
def redis_down(settings):
    settings.CACHES = {"default": settings.CACHES["default"] | {"LOCATION": UNREACHABLE_REDIS_URL}}
    settings.REDIS_URL = UNREACHABLE_REDIS_URL
    limiter.cache_clear()
    yield
    limiter.cache_clear()


@pytest.fixture
def customer(db):
    return UserFactory(username="alice")


@pytest.fixture
def stranger(db):
    """Another customer, who may not see the first one's tickets."""
    return UserFactory(username="bob")


@pytest.fixture
def agent(db):
    return UserFactory(username="agatha", agent=True)


@pytest.fixture
def agent_client(client, agent):
    """A browser in which an agent has logged in to the admin."""
    client.force_login(agent)
    return client


@pytest.fixture
def superuser(db):
    return UserFactory(username="root", superuser=True)


@pytest.fixture
def ticket(customer):
    return TicketFactory(created_by=customer)


@pytest.fixture
def valkey(tmp_path, settings):
    """Return a function that starts a Valkey with options, as the one that cache and limits use; it may be killed."""
    servers = []

    def start(*options):
        server = Valkey(tmp_path, *options)
        servers.append(server)
        server.start()
        settings.CACHES = {"default": settings.CACHES["default"] | {"LOCATION": server.url}}
        settings.REDIS_URL = settings.CELERY_BROKER_URL = server.url
        limiter.cache_clear()
        return server

    yield start
    limiter.cache_clear()
    for server in servers:
        server.kill()
