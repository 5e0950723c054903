"""Live events as the contract says, for a client that knows only the contract."""

import json

import httpx
import pytest
from django.db import connection, transaction
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from helpdesk.users.tests.factories import PASSWORD

from .conftest import TIMEOUT, access_token
from .frames import comment_added, status_changed, ticket_created


class Person:
    """A user with a REST client and a websocket."""

    def __init__(self, host, username):
        self.rest = httpx.Client(base_url=f"http://{host}/api", timeout=TIMEOUT, trust_env=False)
        access = self.post("/auth/token/", {"username": username, "password": PASSWORD})["access"]
        self.rest.headers["Authorization"] = f"Bearer {access}"
        self.socket = connect(f"ws://{host}/ws/notifications/?token={access}", proxy=None).__enter__()
        assert self.has_received_everything()

    def post(self, path, body):
        response = self.rest.post(path, json=body)
        assert response.is_success, response.text
        return response.json()

    def receive(self):
        return json.loads(self.socket.recv(TIMEOUT))

    def has_received_everything(self):
        """Return whether nothing is sent before the answer to a ping."""
        self.socket.send('{"type": "ping"}')
        return self.receive() == {"type": "pong"}

    def close(self):
        self.socket.close()
        self.rest.close()


@pytest.fixture
def person(server, announcer):
    people = []

    def person(user):
        people.append(Person(server, user.username))
        return people[-1]

    yield person
    for one in people:
        one.close()


def is_refused(host, query):
    try:
        with connect(f"ws://{host}/ws/notifications/{query}", proxy=None) as socket:
            socket.recv(TIMEOUT)
    except (ConnectionClosed, InvalidStatus):
        return True
    return False


def includes(frame, expected):
    return all(
        includes(frame[key], value) if isinstance(value, dict) else frame[key] == value
        for key, value in expected.items()
    )


def test_a_client_is_accepted_when_its_stream_is_open(server, transactional_db, customer):
    url = f"ws://{server}/ws/notifications/?token={access_token(customer)}"

    with transaction.atomic(), connection.cursor() as cursor:
        # So that the server cannot read the stream yet.
        cursor.execute("LOCK TABLE users_user IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(TimeoutError):
            connect(url, proxy=None, open_timeout=0.5)

    with connect(url, proxy=None, open_timeout=TIMEOUT):
        pass


def test_all_recipients_are_sent_what_the_contract_promises(person, customer, stranger, agent, superuser):
    alice, bob, agatha, root = map(person, (customer, stranger, agent, superuser))

    ticket_id = alice.post("/tickets/", {"title": "Nuevo ticket", "description": "D", "priority": "high"})["id"]
    assert includes(agatha.receive(), ticket_created(ticket_id))
    assert includes(root.receive(), ticket_created(ticket_id))

    changes = {"status": "in_progress", "assigned_to": agent.pk}
    assert agatha.rest.patch(f"/tickets/{ticket_id}/", json=changes).status_code == 200
    assert includes(alice.receive(), status_changed(ticket_id))

    comment = root.post("/comments/", {"ticket": ticket_id, "content": "Estamos trabajando en esto..."})
    assert includes(alice.receive(), comment_added(ticket_id, comment["id"]))
    assert includes(agatha.receive(), comment_added(ticket_id, comment["id"]))

    own = agatha.post("/comments/", {"ticket": ticket_id, "content": "Mine"})
    assert alice.receive()["comment"]["id"] == own["id"]
    assert all(one.has_received_everything() for one in (alice, bob, agatha, root))


def test_a_refused_write_makes_no_event(person, customer, agent):
    alice, agatha = person(customer), person(agent)

    assert alice.rest.post("/tickets/", json={"title": "", "description": "D"}).status_code == 400
    accepted = alice.post("/tickets/", {"title": "Accepted", "description": "D"})

    assert agatha.receive()["ticket"]["id"] == accepted["id"]
    assert agatha.has_received_everything()


@pytest.mark.parametrize("token", ["none", "empty", "garbage", "refresh", "expired", "foreign"])
def test_a_client_without_a_valid_access_token_is_refused(server, announcer, customer, token, dead_tokens):
    assert is_refused(server, {"none": "", "empty": "?token="}.get(token, f"?token={dead_tokens.get(token)}"))
