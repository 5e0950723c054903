import os
import socket
from contextlib import closing
from threading import Timer

import pytest

from compose.embedded.errors import UserError
from compose.embedded.ports import free_port, require_free


def listener(address: str = "127.0.0.1") -> closing[socket.socket]:
    taken = socket.socket()
    taken.bind((address, 0))
    taken.listen()
    return closing(taken)


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_a_taken_port_is_refused_with_the_variable_to_set(address):
    with listener(address) as taken:
        port = taken.getsockname()[1]
        expected = (
            rf"^Port {port} is in use by `.+` \(pid {os.getpid()}\): set MAIL_PORT, for example MAIL_PORT=\d+\.$"
        )

        with pytest.raises(UserError, match=expected):
            require_free({"PORT": free_port(), "MAIL_PORT": port})


def test_one_port_for_two_things_is_refused():
    port = free_port()

    with pytest.raises(UserError, match="PORT and FLOWER_PORT are both"):
        require_free({"PORT": port, "FLOWER_PORT": port})


def test_free_ports_are_accepted():
    require_free({"PORT": free_port(), "MAIL_PORT": free_port()})


def test_a_port_that_becomes_free_in_time_is_accepted():
    with listener() as taken:
        closing_soon = Timer(0.3, taken.close)
        closing_soon.start()

        require_free({"PORT": taken.getsockname()[1]}, within_seconds=10)

        closing_soon.join()


def test_the_preferred_port_is_given_only_while_it_is_free():
    with listener() as taken:
        port = taken.getsockname()[1]
        other = free_port(preferred=port)

    assert other != port
    assert free_port(preferred=port) == port
