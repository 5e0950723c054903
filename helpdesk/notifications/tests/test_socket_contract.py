"""Live events as the contract says, for a client that knows nothing but the contract."""

import json

import httpx
import pytest
from django.db import connection, transaction
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from helpdesk.users.actions import issue_tokens
from helpdesk.users.tests.factories import PASSWORD

TIMEOUT = 15


class Person:
    """Somebody with a REST client and a websocket."""

    def __init__(self, host, username):
        self.rest = httpx.Client(base_url=f"http://{host}/api", timeout=TIMEOUT, trust_env=False)
        self.tokens = self.post("/auth/token/", {"username": username, "password": PASSWORD})
        self.rest.headers["Authorization"] = f"Bearer {self.tokens['access']}"
        self.socket = connect(f"ws://{host}/ws/notifications/?token={self.tokens['access']}", proxy=None).__enter__()
        self.socket.send('{"type": "ping"}')
        assert self.hear() == {"type": "pong"}

    def post(self, path, body):
        response = self.rest.post(path, json=body)
        assert response.is_success, response.text
        return response.json()

    def patch(self, path, body):
        assert self.rest.patch(path, json=body).status_code == 200

    def hear(self):
        return json.loads(self.socket.recv(TIMEOUT))

    def hears_nothing(self):
        """Tell whether nothing was sent before the answer to a ping."""
        self.socket.send('{"type": "ping"}')
        return self.hear() == {"type": "pong"}


def is_refused(host, query):
    try:
        with connect(f"ws://{host}/ws/notifications/{query}", proxy=None) as socket:
            socket.recv(TIMEOUT)
    except (ConnectionClosed, InvalidStatus):
        return True
    return False


def includes(told, expected):
    return all(
        includes(told[key], value) if isinstance(value, dict) else told[key] == value
        for key, value in expected.items()
    )


def test_whoever_has_connected_is_told_of_all_that_follows(server, transactional_db, customer):
    token = issue_tokens(customer)["access"]
    url = f"ws://{server}/ws/notifications/?token={token}"

    with transaction.atomic(), connection.cursor() as cursor:
        # So that the server cannot see yet where the stream of the user stands.
        cursor.execute("LOCK TABLE users_user IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(TimeoutError):
            connect(url, proxy=None, open_timeout=0.5)

    with connect(url, proxy=None, open_timeout=TIMEOUT):
        pass


@pytest.fixture
def person(server, announcing):
    people = []

    def of(user):
        people.append(Person(server, user.username))
        return people[-1]

    yield of
    for one in people:
        one.socket.close()
        one.rest.close()


def test_everybody_hears_what_the_contract_promises_them(person, customer, stranger, agent, superuser):
    alice, bob, agatha, root = map(person, (customer, stranger, agent, superuser))

    ticket = alice.post("/tickets/", {"title": "Nuevo ticket", "description": "D", "priority": "high"})
    created = {
        "type": "ticket_created",
        "ticket": {
            "id": ticket["id"],
            "title": "Nuevo ticket",
            "priority": "high",
            "status": "open",
            "created_by": "alice",
        },
        "message": f"New ticket #{ticket['id']}: Nuevo ticket",
    }
    assert includes(agatha.hear(), created)
    assert includes(root.hear(), created)

    agatha.patch(f"/tickets/{ticket['id']}/", {"status": "in_progress", "assigned_to": agent.pk})
    assert includes(
        alice.hear(),
        {
            "type": "status_changed",
            "ticket": {
                "id": ticket["id"],
                "title": "Nuevo ticket",
                "old_status": "open",
                "new_status": "in_progress",
            },
            "message": f"Ticket #{ticket['id']} status changed to In Progress",
        },
    )

    comment = root.post("/comments/", {"ticket": ticket["id"], "content": "Estamos trabajando en esto..."})
    commented = {
        "type": "comment_added",
        "ticket": {"id": ticket["id"], "title": "Nuevo ticket"},
        "comment": {"id": comment["id"], "author": "root", "content": "Estamos trabajando en esto..."},
        "message": f"New comment on ticket #{ticket['id']}",
    }
    assert includes(alice.hear(), commented)
    assert includes(agatha.hear(), commented)

    own = agatha.post("/comments/", {"ticket": ticket["id"], "content": "Mine"})
    assert alice.hear()["comment"]["id"] == own["id"]
    assert all(one.hears_nothing() for one in (alice, bob, agatha, root))


def test_a_refused_write_makes_no_event(person, customer, agent):
    alice, agatha = person(customer), person(agent)

    assert alice.rest.post("/tickets/", json={"title": "", "description": "D"}).status_code == 400
    seen = alice.post("/tickets/", {"title": "Seen", "description": "D"})

    assert agatha.hear()["ticket"]["id"] == seen["id"]
    assert agatha.hears_nothing()


@pytest.mark.parametrize("token", ["none", "empty", "garbage", "refresh", "expired", "foreign"])
def test_without_a_valid_access_token_the_socket_is_refused(server, announcing, customer, token, dead_tokens):
    assert is_refused(server, {"none": "", "empty": "?token="}.get(token, f"?token={dead_tokens.get(token)}"))
