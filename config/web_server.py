"""Granian with its own command line, which loses no request when it stops: python -m config.web_server OPTIONS.

Closing a listening socket resets the connections that nobody has accepted yet, and no proxy may repeat what it has
sent over one of them. Here the workers first let no new connection in: Linux drops the packets that ask for one, and
the proxy goes elsewhere. What has come in until then is accepted and answered. Other systems stop at once.
"""

import ctypes
import os
import signal
import socket
import stat
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, cast
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from granian import cli
from granian._internal import load_target
from granian.server import MPServer

DESCRIPTORS = Path("/proc/self/fd")
# A handshake that has begun is over by then, and what came in is accepted.
FAREWELL_SECONDS = 0.3
# More than the proxy lets through.
MOST_READ = 4 * 1024 * 1024
SO_ATTACH_FILTER = 26
# A classic BPF program: drop a packet if SYN is among its TCP flags.
LOAD_BYTE, JUMP_IF_SET, RETURN = 0x30, 0x45, 0x06
FLAGS, SYN = 13, 0x02
NO_NEW_CONNECTIONS = [(LOAD_BYTE, 0, 0, FLAGS), (JUMP_IF_SET, 0, 1, SYN), (RETURN, 0, 0, 0), (RETURN, 0, 0, 0xFFFF)]


class WebServer(MPServer):
    """The main process: has its workers shut their doors a moment before it stops them."""

    def serve(
        self,
        spawn_target: Callable[..., None] | None = None,
        target_loader: Callable[..., Any] | None = None,
        wrap_loader: bool = True,  # noqa: FBT001, FBT002 -- as in Granian
    ) -> None:
        # Workers inherit it: one that is not ready to answer the signal must not die of it.
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        super().serve(spawn_target, target_loader or load_with_a_door, wrap_loader)

    def signal_handler_interrupt(self, *_: object, **__: object) -> None:
        for worker in self.wrks:
            with suppress(ProcessLookupError):
                os.kill(worker.inner.pid, signal.SIGUSR1)
        threading.Timer(FAREWELL_SECONDS, super().signal_handler_interrupt).start()


def load_with_a_door(target: str) -> Any:
    """Load the application in a worker, and shut the doors when the main process says so."""
    application = cast("WSGIApplication", load_target(target))
    signal.signal(signal.SIGUSR1, lambda *_: shut_the_doors())
    return reads_what_is_too_large(application)


def reads_what_is_too_large(application: WSGIApplication) -> WSGIApplication:
    """Read the body of a request that is answered 413: closed unread, it resets the connection, and a proxy says 502."""

    def reading(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        def start(status: str, *others: Any) -> Any:
            if status.startswith("413"):
                environ["wsgi.input"].read(MOST_READ)
            return start_response(status, *others)

        return application(environ, start)

    return reading


def shut_the_doors() -> None:
    for listener in listening_sockets():
        # A system that refuses has none of it, and the server stops all the same.
        with suppress(OSError):
            shut(listener)


def shut(listener: socket.socket) -> None:
    """Let no new connection in; those that came before can still be accepted."""
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in NO_NEW_CONNECTIONS)
    memory = ctypes.create_string_buffer(code)
    program = struct.pack("HP", len(NO_NEW_CONNECTIONS), ctypes.addressof(memory))
    listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)


def listening_sockets() -> Iterator[socket.socket]:
    """Yield copies of the TCP sockets that this process listens on; none where the system does not tell."""
    for descriptor in map(int, os.listdir(DESCRIPTORS) if DESCRIPTORS.exists() else []):  # noqa: PTH208 -- names alone
        with suppress(OSError):
            if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                continue
            with socket.socket(fileno=os.dup(descriptor)) as copy:
                if copy.family != socket.AF_UNIX and copy.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                    yield copy


if __name__ == "__main__":
    # From there the command line takes it.
    cli.Server = WebServer  # type: ignore[attr-defined]
    cli.entrypoint()
