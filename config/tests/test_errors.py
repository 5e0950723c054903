"""Internal errors are problem documents without details."""

from collections.abc import Mapping
from typing import NamedTuple

import pytest
from django.core.cache import cache
from django.db import OperationalError, connection, transaction
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

from config.tests.problems import status_of
from helpdesk.tickets import actions
from helpdesk.tickets.models import Comment, Ticket, TicketEvent
from helpdesk.users import actions as user_actions
from helpdesk.users.account_tokens import make_address_change_token
from helpdesk.users.models import AddressChange, User
from helpdesk.users.tests.factories import PASSWORD

pytestmark = pytest.mark.django_db

SECRET = "password=hunter2"


class Request(NamedTuple):
    method: str
    path: str
    status: int
    body: Mapping[str, str] | None = None


REQUESTS = {
    "list": Request("get", "/api/tickets/", 200),
    "search": Request("get", "/api/tickets/?search=printer", 200),
    "detail": Request("get", "/api/tickets/{ticket}/", 200),
    "history": Request("get", "/api/tickets/{ticket}/events/", 200),
    "profile": Request("get", "/api/users/me/", 200),
    "new ticket": Request("post", "/api/tickets/", 201, {"title": "No sound", "description": "Since today."}),
    "new comment": Request("post", "/api/comments/", 201, {"ticket": "{ticket}", "content": "Hello"}),
    "change": Request("patch", "/api/tickets/{ticket}/", 200, {"status": "closed", "title": "Loud sound"}),
    "deletion": Request("delete", "/api/tickets/{ticket}/", 204),
    "login": Request("post", "/api/auth/token/", 200, {"username": "agatha", "password": PASSWORD}),
    "failed login": Request("post", "/api/auth/token/", 401, {"username": "agatha", "password": "guess"}),
}
MAX_QUERIES = 30


class FailingQuery:
    """Fails one query of those that pass through it."""

    def __init__(self, position, error):
        self.left = position
        self.error = error

    def __call__(self, execute, sql, params, many, context):
        self.left -= 1
        if self.left == 0:
            raise self.error
        return execute(sql, params, many, context)


@pytest.fixture
def send(api, agent, ticket):
    """Return a function that sends one of REQUESTS as the agent."""
    client = api(agent)
    client.raise_request_exception = False

    def send_request(name):
        request = REQUESTS[name]
        body = request.body and {key: value.format(ticket=ticket.pk) for key, value in request.body.items()}
        return getattr(client, request.method)(request.path.format(ticket=ticket.pk), body)

    return send_request


def test_a_programming_error_is_a_500_without_details(send, monkeypatch):
    def create_ticket(*args, **kwargs):
        raise RuntimeError(SECRET)

    monkeypatch.setattr(actions, "create_ticket", create_ticket)

    response = send("new ticket")

    assert status_of(response) == 500
    assert SECRET not in response.text
    assert response.json()["detail"] == "A server error occurred."


@pytest.mark.parametrize("name", ["change", "deletion", "new comment"])
def test_an_error_at_the_end_of_an_action_rolls_it_back(send, monkeypatch, name):
    def record_events(*args):
        raise RuntimeError(SECRET)

    monkeypatch.setattr(actions, "record_events", record_events)

    response = send(name)

    assert status_of(response) == 500
    assert Ticket.objects.get().status == "open"
    assert not Comment.objects.exists()


@pytest.mark.parametrize("name", REQUESTS)
def test_a_database_that_fails_at_any_query_is_a_503(send, name):
    expected = REQUESTS[name].status

    answers = [send_while_one_query_fails(send, name, position) for position in range(1, MAX_QUERIES)]

    refusals = answers[: [answer.status_code for answer in answers].index(expected)]
    assert refusals
    assert {(status_of(answer), answer.headers["Retry-After"]) for answer in refusals} == {(503, "2")}
    assert not [answer.text for answer in refusals if SECRET in answer.text]


def send_while_one_query_fails(send, name, position):
    """Return the response; assert that a rejected POST has written nothing, so that it may be repeated."""
    before = rows()
    cache.clear()
    with transaction.atomic():
        with connection.execute_wrapper(FailingQuery(position, OperationalError(SECRET))):
            answer = send(name)
        transaction.set_rollback(False)  # PostgreSQL has not seen the query that failed.
        if answer.status_code == 503 and REQUESTS[name].method == "post":
            assert rows() == before
        transaction.set_rollback(True)
    return answer


def rows():
    return [list(model.objects.order_by("pk").values()) for model in (Ticket, Comment, TicketEvent, OutstandingToken)]


def test_a_value_that_a_concurrent_request_has_taken_is_a_409(api, customer, stranger, monkeypatch):
    monkeypatch.setattr(user_actions, "is_address_taken", lambda email, **but: False)
    change = AddressChange.objects.create(user=customer, email=stranger.email)

    response = api().post("/api/auth/email/verify/", {"token": make_address_change_token(change)})

    assert status_of(response) == 409
    assert User.objects.get(pk=customer.pk).email == "alice@example.com"


def test_a_query_that_takes_too_long_is_a_503(send, monkeypatch):
    def create_ticket(*args, **kwargs):
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = 10; SELECT pg_sleep(1)")

    monkeypatch.setattr(actions, "create_ticket", create_ticket)

    with transaction.atomic():
        response = send("new ticket")
        transaction.set_rollback(True)

    assert status_of(response) == 503


def test_an_error_has_the_request_id_of_the_client(send, api, agent):
    response = api(agent).get("/api/nothing/", HTTP_X_REQUEST_ID="bug-report-17")

    assert response.json()["request_id"] == response.headers["X-Request-ID"] == "bug-report-17"


@pytest.mark.parametrize(
    "request_id", ["", "short", "a" * 65, "two words", "a\r\nSet-Cookie: a=b", "<script>alert(1)", "\xff" * 8]
)
def test_a_request_id_that_is_unsafe_in_a_log_is_replaced(api, agent, request_id):
    response = api(agent).get("/api/nothing/", HTTP_X_REQUEST_ID=request_id)

    assert response.json()["request_id"] == response.headers["X-Request-ID"] != request_id
    assert len(response.headers["X-Request-ID"]) == 32
