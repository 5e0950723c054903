import signal
import socket
import sys

import psutil
import pytest

from compose.embedded.ports import LOOPBACK

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can refuse connections")


@pytest.fixture
def refuse_connections():
    before = signal.getsignal(signal.SIGUSR1)
    from config.granian import refuse_connections  # noqa: PLC0415 -- it sets a signal handler

    yield refuse_connections
    signal.signal(signal.SIGUSR1, before)


def test_new_connections_are_refused_and_those_in_the_queue_are_answered(refuse_connections):
    with (
        socket.create_server((LOOPBACK, 0)) as listener,
        socket.create_connection(listener.getsockname()) as early,
    ):
        refuse_connections()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(listener.getsockname())
        early.sendall(b"question")
        accepted, _ = listener.accept()
        with accepted:
            question = accepted.recv(100)
            accepted.sendall(b"answer")
        answer = early.recv(100)

    assert (question, answer) == (b"question", b"answer")


def test_no_descriptor_stays_open(refuse_connections):
    before = psutil.Process().num_fds()

    refuse_connections()

    assert psutil.Process().num_fds() == before
