"""The WSGI application in a worker of Granian, which can end its connections before it is stopped."""

import os
import signal
import socket
import stat
from collections.abc import Iterable
from contextlib import suppress
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from config.wsgi import application as django_application

SO_BINDTOIFINDEX = 62  # <asm-generic/socket.h>, Linux 5.0
NO_INTERFACE = 2**31 - 1

is_draining = False


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Respond as Django does; after `drain()` every response ends its connection."""

    def start_last(status: str, headers: list[tuple[str, str]], *others: Any) -> Any:
        return start_response(status, [*headers, ("Connection", "close")], *others)

    return django_application(environ, start_last if is_draining else start_response)


def drain(*_: object) -> None:
    """Have Linux refuse new connections, and end the others with their next response.

    Closing a listening socket resets the connections in its queue, and a proxy may not repeat a POST that it has sent
    over one of them, nor over one that is closed while it is idle. A socket that is bound to an interface which does not
    exist gets no packet: a new connection goes to another replica, and those that wait in the accept queue are accepted.
    Without privileges this needs Linux 5.7; elsewhere nothing is refused.
    """
    global is_draining  # noqa: PLW0603 -- a signal handler has no other way to tell
    is_draining = True
    with suppress(OSError):
        for descriptor in map(int, os.listdir("/proc/self/fd")):  # noqa: PTH208 -- names alone
            with suppress(OSError):
                if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                    refuse_on_listener(descriptor)


def refuse_on_listener(descriptor: int) -> None:
    with socket.socket(fileno=os.dup(descriptor)) as listener:
        if listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            listener.setsockopt(socket.SOL_SOCKET, SO_BINDTOIFINDEX, NO_INTERFACE)


signal.signal(signal.SIGUSR1, drain)
