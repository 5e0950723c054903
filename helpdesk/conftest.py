"""What every test can ask for."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.cache import cache
from django.test import TestCase
from rest_framework.response import Response
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import RefreshToken

from helpdesk.tickets.models import Ticket
from helpdesk.tickets.tests.factories import TicketFactory
from helpdesk.users.models import User
from helpdesk.users.tests.factories import UserFactory


class CommittingClient(APIClient):
    """Runs what a request leaves for after its commit, as the server would, inside the test's own transaction."""

    def request(self, **kwargs: Any) -> Response:
        with TestCase.captureOnCommitCallbacks(execute=True):
            return super().request(**kwargs)


@pytest.fixture
def api(settings) -> Callable[[User | None], APIClient]:
    """Return a function from a user, or None for anonymous, to a client that speaks for them."""

    def client_of(user: User | None = None) -> APIClient:
        client = CommittingClient()
        if user is not None:
            client.credentials(HTTP_AUTHORIZATION=f"Bearer {RefreshToken.for_user(user).access_token}")
        return client

    return client_of


@pytest.fixture(autouse=True)
def empty_cache() -> None:
    cache.clear()


@pytest.fixture
def customer(db) -> User:
    return UserFactory(username="alice")


@pytest.fixture
def stranger(db) -> User:
    """Another customer, who may not see the first one's tickets."""
    return UserFactory(username="bob")


@pytest.fixture
def agent(db) -> User:
    return UserFactory(username="agatha", agent=True)


@pytest.fixture
def superuser(db) -> User:
    return UserFactory(username="root", superuser=True)


@pytest.fixture
def ticket(customer: User) -> Ticket:
    return TicketFactory(created_by=customer)
