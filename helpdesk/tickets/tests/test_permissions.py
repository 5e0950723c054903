"""Who may do what: every endpoint for every kind of caller, and a refusal writes nothing."""

import pytest

from helpdesk.tickets.models import Comment, Ticket, TicketEvent
from helpdesk.tickets.tests.factories import CommentFactory

pytestmark = pytest.mark.django_db

CALLERS = ("anonymous", "stranger", "owner", "agent", "superuser")
TABLE = [
    # method, path, body, then the status for each caller
    ("get", "/api/tickets/", None, (401, 200, 200, 200, 200)),
    ("post", "/api/tickets/", {"title": "T", "description": "D"}, (401, 201, 201, 201, 201)),
    ("get", "/api/tickets/{ticket}/", None, (401, 404, 200, 200, 200)),
    ("get", "/api/tickets/{ticket}/events/", None, (401, 404, 200, 200, 200)),
    ("patch", "/api/tickets/{ticket}/", {"status": "closed"}, (401, 404, 403, 200, 200)),
    ("put", "/api/tickets/{ticket}/", {"priority": "low"}, (401, 404, 403, 200, 200)),
    ("patch", "/api/tickets/{ticket}/", {"status": "nonsense"}, (401, 404, 403, 400, 400)),
    ("delete", "/api/tickets/{ticket}/", None, (401, 404, 403, 204, 204)),
    ("get", "/api/tickets/999999/", None, (401, 404, 404, 404, 404)),
    ("patch", "/api/tickets/999999/", {"status": "closed"}, (401, 404, 404, 404, 404)),
    ("delete", "/api/tickets/999999/", None, (401, 404, 404, 404, 404)),
    ("get", "/api/comments/", None, (401, 200, 200, 200, 200)),
    ("get", "/api/comments/?ticket={ticket}", None, (401, 200, 200, 200, 200)),
    ("get", "/api/comments/{comment}/", None, (401, 404, 200, 200, 200)),
    ("post", "/api/comments/", {"ticket": "{ticket}", "content": "Hello"}, (401, 400, 201, 201, 201)),
    ("post", "/api/comments/", {"ticket": 999999, "content": "Hello"}, (401, 400, 400, 400, 400)),
    ("patch", "/api/comments/{comment}/", {"content": "Other words"}, (401, 405, 405, 405, 405)),
    ("put", "/api/comments/{comment}/", {"content": "Other words"}, (401, 405, 405, 405, 405)),
    ("delete", "/api/comments/{comment}/", None, (401, 405, 405, 405, 405)),
]


@pytest.fixture
def callers(customer, stranger, agent, superuser):
    return dict(zip(CALLERS, (None, stranger, customer, agent, superuser), strict=True))


def rows():
    return {model: list(model.objects.order_by("pk").values()) for model in (Ticket, Comment, TicketEvent)}


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize(("method", "path", "body", "statuses"), TABLE)
def test_each_caller_gets_what_the_table_says(api, callers, ticket, method, path, body, statuses, caller):
    ids = {"ticket": ticket.pk, "comment": CommentFactory(ticket=ticket, author=callers["owner"]).pk}
    body = body and {name: value.format(**ids) if isinstance(value, str) else value for name, value in body.items()}
    before = rows()

    response = getattr(api(callers[caller]), method)(path.format(**ids), body)

    assert response.status_code == statuses[CALLERS.index(caller)]
    if response.status_code >= 400:
        assert rows() == before
        assert response["Content-Type"] == "application/problem+json"
        assert ("WWW-Authenticate" in response) == (response.status_code == 401)


def test_the_table_names_every_path_of_the_tickets_app(api):
    schema = api().get("/api/schema/", headers={"Accept": "application/json"}).json()

    ours = ("/api/tickets/", "/api/comments/")
    documented = {path for path in schema["paths"] if path.startswith(ours)}

    tried = {
        path.partition("?")[0].replace("{ticket}", "{id}").replace("{comment}", "{id}").replace("999999", "{id}")
        for _method, path, *_ in TABLE
    }
    assert tried == documented


@pytest.mark.parametrize("path", ["/api/tickets/", "/api/comments/", "/api/tickets/?search=print"])
def test_a_customer_lists_only_their_own(api, customer, stranger, agent, ticket, path):
    CommentFactory(ticket=ticket, author=customer)

    counts = {user.username: api(user).get(path).json()["count"] for user in (customer, stranger, agent)}

    assert counts == {"alice": 1, "bob": 0, "agatha": 1}


def test_a_ticket_one_cannot_see_is_refused_like_one_that_does_not_exist(api, stranger, ticket):
    def answer(ticket_id):
        body = api(stranger).post("/api/comments/", {"ticket": ticket_id, "content": "Hello"}).json()
        return body["status"], str(body["errors"]).replace(str(ticket_id), "ID")

    assert answer(ticket.pk) == answer(999999)
    assert api(stranger).get(f"/api/comments/?ticket={ticket.pk}").json()["count"] == 0


@pytest.mark.parametrize("caller", CALLERS[1:])
def test_a_ticket_is_visible_to_whom_a_query_says(callers, ticket, caller):
    user = callers[caller]

    assert ticket.is_visible_to(user) == Ticket.objects.visible_to(user).filter(pk=ticket.pk).exists()
