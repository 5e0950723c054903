"""A real server and a real announcer, and clients that know nothing of either."""

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
from django.conf import settings
from rest_framework_simplejwt.tokens import AccessToken
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from compose.embedded.options import ROOT
from compose.embedded.ports import LOOPBACK, answers, free_port
from helpdesk.notifications.live.asyncapi import FROM_SERVER
from helpdesk.testing import database_url, wait_until
from helpdesk.tickets.actions import notify_announcer
from helpdesk.tickets.announcer import Announcer
from helpdesk.users.actions import issue_tokens

# Long enough for a busy machine; nothing waits for it to pass but what fails.
PATIENCE = 15
START_SECONDS = 40
SHORT_TIMES = "config.tests.settings_with_short_times"


@contextmanager
def running_server(log_path, *, settings_module="config.settings.test", port=None, **variables):
    """Run Daphne, on a free port if none is given; yield its process and its host with port."""
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
        wait_until(lambda: process.poll() is not None or answers(port), seconds=START_SECONDS)
        assert process.poll() is None, log_path.read_text()
        yield process, f"{LOOPBACK}:{port}"
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="session")
def server(django_db_setup, django_db_blocker, tmp_path_factory):
    """Return the host of a Daphne with the usual settings."""
    with django_db_blocker.unblock(), running_server(tmp_path_factory.mktemp("daphne") / "log") as (_, host):
        yield host


@pytest.fixture(scope="session")
def impatient_server(django_db_setup, django_db_blocker, tmp_path_factory):
    """Return the host of a Daphne whose clients have less time."""
    log = tmp_path_factory.mktemp("daphne") / "log"
    with django_db_blocker.unblock(), running_server(log, settings_module=SHORT_TIMES) as (_, host):
        yield host


@pytest.fixture
def announcing(transactional_db):
    """Run the announcer beside the test."""
    announcer = Announcer()
    thread = threading.Thread(target=announcer.run)
    thread.start()
    yield announcer
    announcer.stop()
    notify_announcer()
    thread.join(PATIENCE)


class Client:
    """A websocket client that collects what it is sent."""

    def __init__(self, host, *, user=None, token=None, v2=False, origin=None, headers=None, **query):
        if user is not None:
            token = issue_tokens(user)["access"]
        if token is not None:
            query["token"] = token
        self.connection = connect(
            f"ws://{host}/ws/notifications/?{urlencode(query)}",
            subprotocols=["helpdesk.v2"] if v2 else None,
            origin=origin,
            additional_headers=headers,
            open_timeout=PATIENCE,
            close_timeout=1,
            proxy=None,
            max_queue=None,
            compression=None,
        )
        self.socket = self.connection.__enter__()

    def say(self, frame):
        self.socket.send(frame if isinstance(frame, str | bytes) else json.dumps(frame))

    def hear(self, timeout=PATIENCE):
        """Return the next frame, which is as documented."""
        frame = json.loads(self.socket.recv(timeout))
        jsonschema.validate(frame, FROM_SERVER[frame["type"]], format_checker=jsonschema.FormatChecker())
        return frame

    def hear_until(self, kind):
        """Return everything up to the first frame of a type."""
        heard = [self.hear()]
        while heard[-1]["type"] != kind:
            heard.append(self.hear())
        return heard

    def round_trip(self):
        """Return what was heard before the server has answered; what it did before, it has done by then."""
        self.say({"type": "ping"})
        return self.hear_until("pong")[:-1]

    def closing(self):
        """Return what was still heard, and the code the server closed with."""
        heard = []
        try:
            while True:
                heard.append(self.hear())
        except ConnectionClosed as closed:
            return heard, closed.rcvd.code if closed.rcvd else None

    def close(self):
        self.socket.close()


def stalled(host, token):
    """Return a socket that asks for everything and reads nothing."""
    name, port = host.split(":")
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(15)
    connection.connect((name, int(port)))
    lines = [
        f"GET /ws/notifications/?since=0&token={token} HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ]
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    return connection


def is_cut(connection):
    poll = select.poll()
    poll.register(connection, 0)
    return bool(poll.poll(0))


def is_greeted(connection):
    """Tell whether the handshake was answered, without taking the answer away."""
    return connection.recv(12, socket.MSG_PEEK).startswith(b"HTTP/1.1 101")


@pytest.fixture
def client_of(server, transactional_db):
    """Return a function that connects a client; all are closed afterwards."""
    with ExitStack() as stack:

        def connected(user=None, *, host=server, **options):
            client = Client(host, user=user, **options)
            stack.callback(client.close)
            return client

        yield connected


@pytest.fixture
def listening(client_of):
    """Return a function that connects a client and waits until it is told everything from now on."""

    def connected(user, **options):
        client = client_of(user, **options)
        client.round_trip()
        return client

    return connected


@pytest.fixture
def redis_url():
    return settings.REDIS_URL


@pytest.fixture
def dead_tokens(customer):
    """Return tokens that open nothing, by what is wrong with them."""
    expired = AccessToken.for_user(customer)
    expired.set_exp(lifetime=-timedelta(seconds=1))
    foreign = jwt.encode(AccessToken.for_user(customer).payload, "another key " * 5, algorithm="HS256")
    return {
        "garbage": "x.y.z",
        "refresh": issue_tokens(customer)["refresh"],
        "expired": str(expired),
        "foreign": foreign,
    }


@pytest.fixture
def short_lived():
    """Return a function from a user to an access token for two seconds."""

    def token_of(user):
        token = AccessToken.for_user(user)
        token.set_exp(lifetime=timedelta(seconds=2))
        return str(token)

    return token_of
