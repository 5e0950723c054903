"""The WSGI application in a worker of Granian, which can refuse connections before it is stopped."""

import os
import signal
import socket
import stat
from contextlib import suppress

from config.wsgi import application

__all__ = ["application"]

SO_BINDTOIFINDEX = 62  # <asm-generic/socket.h>, Linux 5.0
NO_INTERFACE = 2**31 - 1


def refuse_connections(*_: object) -> None:
    """Have Linux refuse new connections; those that wait in the accept queue are still accepted.

    Closing a listening socket resets the connections in its queue, and a proxy may not repeat a POST that it has sent
    over one of them; one that is refused goes to another replica. A socket that is bound to an interface which does
    not exist gets no packet. Without privileges this needs Linux 5.7; elsewhere nothing is refused.
    """
    with suppress(OSError):
        for descriptor in map(int, os.listdir("/proc/self/fd")):  # noqa: PTH208 -- names alone
            with suppress(OSError):
                if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                    refuse_on_listener(descriptor)


def refuse_on_listener(descriptor: int) -> None:
    with socket.socket(fileno=os.dup(descriptor)) as listener:
        if listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            listener.setsockopt(socket.SOL_SOCKET, SO_BINDTOIFINDEX, NO_INTERFACE)


signal.signal(signal.SIGUSR1, refuse_connections)
