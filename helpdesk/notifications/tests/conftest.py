"""A real server and a real announcer, and clients that know only the protocol."""

import json
import os
import select
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from urllib.parse import urlencode

import jsonschema  # type: ignore[import-untyped]
import jwt
import pytest
from rest_framework_simplejwt.tokens import AccessToken
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from compose.embedded.options import ROOT
from compose.embedded.ports import LOOPBACK, answers, free_port
from helpdesk.notifications.live.protocol import SERVER_SCHEMAS
from helpdesk.testing import database_url, wait_until
from helpdesk.tickets import actions
from helpdesk.tickets.actions import notify_announcer
from helpdesk.tickets.announcer import Announcer
from helpdesk.tickets.models import TicketEvent
from helpdesk.tickets.tests.factories import by
from helpdesk.users.actions import issue_tokens

# Long enough for a busy machine; only a test that fails waits for so long.
TIMEOUT = 15
START_TIMEOUT = 40
SHORT_TIMES = "config.tests.settings_with_short_times"


@contextmanager
def running_server(log_path, *, settings_module="config.settings.test", port=None, **variables):
    """Run Daphne, by default on a free port; yield its process and its host with port."""
    port = port or free_port()
    command = [sys.executable, "-m", "daphne", "-b", LOOPBACK, "-p", str(port), "config.asgi:application"]
    environment = {
        **os.environ,
        "DATABASE_URL": database_url(),
        "DJANGO_SETTINGS_MODULE": settings_module,
        **variables,
    }
    with log_path.open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_until(lambda: process.poll() is not None or answers(port), seconds=START_TIMEOUT)
        assert process.poll() is None, log_path.read_text()
        yield process, f"{LOOPBACK}:{port}"
    finally:
        process.terminate()
        try:
            process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="session")
def server(django_db_setup, django_db_blocker, tmp_path_factory):
    """Return the host of a Daphne with the usual settings."""
    with django_db_blocker.unblock(), running_server(tmp_path_factory.mktemp("daphne") / "log") as (_, host):
        yield host


@pytest.fixture(scope="session")
def server_with_short_times(django_db_setup, django_db_blocker, tmp_path_factory):
    """Return the host of a Daphne with short intervals and timeouts."""
    log = tmp_path_factory.mktemp("daphne") / "log"
    with django_db_blocker.unblock(), running_server(log, settings_module=SHORT_TIMES) as (_, host):
        yield host


@pytest.fixture
def announcer(transactional_db):
    """Run the announcer in a thread during the test."""
    announcer = Announcer()
    thread = threading.Thread(target=announcer.run)
    thread.start()
    yield announcer
    announcer.stop()
    notify_announcer()
    thread.join(TIMEOUT)


def add_comment(ticket, author, content="Hello"):
    return actions.add_comment(by(author), ticket.pk, content=content)


def wait_until_announced():
    wait_until(lambda: not TicketEvent.objects.unannounced().exists())


@pytest.fixture
def add_comments(announcer, ticket, agent):
    """Return a function that adds comments to the customer's ticket, and waits until they are announced."""

    def add(count=1, content="Hello"):
        for _ in range(count):
            add_comment(ticket, agent, content)
        wait_until_announced()

    return add


def access_token(user):
    return issue_tokens(user)["access"]


def seqs(frames):
    """Return the numbers of the events among some frames."""
    return [frame["seq"] for frame in frames if "id" in frame]


class Client:
    """A websocket client."""

    def __init__(self, host, *, user=None, token=None, v2=False, origin=None, **query):
        token = access_token(user) if user else token
        if token is not None:
            query["token"] = token
        self.socket = connect(
            f"ws://{host}/ws/notifications/?{urlencode(query)}",
            subprotocols=["helpdesk.v2"] if v2 else None,
            origin=origin,
            open_timeout=TIMEOUT,
            close_timeout=1,
            proxy=None,
            max_queue=None,
            compression=None,
        ).__enter__()

    def send(self, frame):
        self.socket.send(frame if isinstance(frame, str | bytes) else json.dumps(frame))

    def receive(self):
        """Return the next frame, which conforms to the AsyncAPI document."""
        frame = json.loads(self.socket.recv(TIMEOUT))
        jsonschema.validate(frame, SERVER_SCHEMAS[frame["type"]], format_checker=jsonschema.FormatChecker())
        return frame

    def receive_seqs(self, count):
        return [self.receive()["seq"] for _ in range(count)]

    def receive_until(self, kind):
        """Return the frames up to the first of a type."""
        frames = [self.receive()]
        while frames[-1]["type"] != kind:
            frames.append(self.receive())
        return frames

    def round_trip(self):
        """Return the frames that arrive before a pong: the server has done everything that it did before."""
        self.send({"type": "ping"})
        return self.receive_until("pong")[:-1]

    def receive_close(self):
        """Return the frames that still arrive, and the server's close code."""
        frames = []
        try:
            while True:
                frames.append(self.receive())
        except ConnectionClosed as closed:
            return frames, closed.rcvd.code if closed.rcvd else None

    def close(self):
        self.socket.close()


@pytest.fixture
def connect_client(server, transactional_db):
    """Return a function that connects a client; all are closed afterwards."""
    with ExitStack() as stack:

        def connect_client(user=None, *, host=server, **options):
            client = Client(host, user=user, **options)
            stack.callback(client.close)
            return client

        yield connect_client


@pytest.fixture
def subscribe(connect_client):
    """Return a function that connects a client, and waits until it is sent every event from now on."""

    def subscribe(user, **options):
        client = connect_client(user, **options)
        client.round_trip()
        return client

    return subscribe


def connect_stalled(host, user):
    """Return the socket of a client that asks for all events and reads none."""
    name, port = host.split(":")
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(TIMEOUT)
    client.connect((name, int(port)))
    lines = [
        f"GET /ws/notifications/?since=0&token={access_token(user)} HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ]
    client.sendall("\r\n".join([*lines, "", ""]).encode())
    return client


def is_cut(client):
    poll = select.poll()
    poll.register(client, 0)
    return bool(poll.poll(0))


def is_accepted(client):
    """Return whether the handshake was answered; the answer stays in the socket's buffer."""
    return client.recv(12, socket.MSG_PEEK).startswith(b"HTTP/1.1 101")


@pytest.fixture
def dead_tokens(customer):
    """Return tokens that are refused, by the reason."""
    expired = AccessToken(access_token(customer))
    expired.set_exp(lifetime=-timedelta(seconds=1))
    foreign = jwt.encode(AccessToken(access_token(customer)).payload, "another key " * 5, algorithm="HS256")
    return {
        "garbage": "x.y.z",
        "refresh": issue_tokens(customer)["refresh"],
        "expired": str(expired),
        "foreign": foreign,
    }


def short_lived_token(user):
    """Return an access token for two seconds."""
    token = AccessToken(access_token(user))
    token.set_exp(lifetime=timedelta(seconds=2))
    return str(token)
