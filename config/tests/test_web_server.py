"""What the web server does with new connections when it stops."""

import socket
import sys

import pytest

from config.web_server import listening_sockets, shut

LOOPBACK = "127.0.0.1"
PATIENCE_SECONDS = 0.2

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can shut them")


@pytest.fixture
def listener():
    with socket.create_server((LOOPBACK, 0)) as listener:
        yield listener


def connected(listener):
    return socket.create_connection(listener.getsockname(), timeout=PATIENCE_SECONDS)


def test_it_finds_the_sockets_that_it_listens_on(listener):
    with connected(listener) as client:
        ports = [found.getsockname()[1] for found in listening_sockets()]
        others = {client.getsockname()[1]}

    assert listener.getsockname()[1] in ports
    assert not others & set(ports)


def test_behind_a_shut_door_those_who_came_before_are_answered_and_nobody_else_comes_in(listener):
    with connected(listener) as early:
        shut(listener)
        with pytest.raises(TimeoutError):
            connected(listener)
        early.sendall(b"question")
        accepted, _ = listener.accept()
        with accepted:
            question = accepted.recv(100)
            accepted.sendall(b"answer")

        answer = early.recv(100)

    assert (question, answer) == (b"question", b"answer")
    listener.settimeout(PATIENCE_SECONDS)
    with pytest.raises(TimeoutError):
        listener.accept()
