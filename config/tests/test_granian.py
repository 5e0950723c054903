import signal
import socket
import sys
from wsgiref.util import setup_testing_defaults

import psutil
import pytest

from compose.embedded.ports import LOOPBACK

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can refuse connections")


@pytest.fixture
def granian(monkeypatch):
    before = signal.getsignal(signal.SIGUSR1)
    from config import granian  # noqa: PLC0415 -- it sets a signal handler

    monkeypatch.setattr(granian, "is_draining", False)
    yield granian
    signal.signal(signal.SIGUSR1, before)


def test_new_connections_are_refused_and_those_in_the_queue_are_answered(granian):
    with (
        socket.create_server((LOOPBACK, 0)) as listener,
        socket.create_connection(listener.getsockname()) as early,
    ):
        granian.drain()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(listener.getsockname())
        early.sendall(b"question")
        accepted, _ = listener.accept()
        with accepted:
            question = accepted.recv(100)
            accepted.sendall(b"answer")
        answer = early.recv(100)

    assert (question, answer) == (b"question", b"answer")


def test_no_descriptor_stays_open(granian):
    before = psutil.Process().num_fds()

    granian.drain()

    assert psutil.Process().num_fds() == before


def test_a_response_ends_its_connection_only_when_the_server_stops(granian):
    kept = headers_of_a_response(granian.application)
    granian.drain()
    ended = headers_of_a_response(granian.application)

    assert "Connection" not in kept
    assert ended["Connection"] == "close"


def headers_of_a_response(application):
    responses = []
    environ = {}
    setup_testing_defaults(environ)
    body = application(environ | {"PATH_INFO": "/livez"}, lambda *response: responses.append(response))
    body.close()
    ((_status, headers),) = responses
    return dict(headers)
