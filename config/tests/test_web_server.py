"""What the web server does with new connections when it stops, and with bodies that are too large."""

import io
import socket
import sys

import pytest

from config.web_server import listening_sockets, reads_what_is_too_large, shut

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


@pytest.mark.parametrize(("status", "left"), [("413 Content Too Large", b""), ("200 OK", b"body")])
def test_a_body_that_is_too_large_is_read_before_it_is_refused(status, left):
    said, body = [], io.BytesIO(b"body")

    def application(environ, start_response):
        start_response(status, [])
        return [b"answer"]

    answer = reads_what_is_too_large(application)({"wsgi.input": body}, lambda *words: said.append(words))

    assert (said, answer, body.read()) == ([(status, [])], [b"answer"], left)
