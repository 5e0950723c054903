"""TCP ports on the loopback interface."""

import socket
import time
from collections.abc import Mapping
from contextlib import suppress

import psutil

from compose.embedded.errors import UserError

LOOPBACK = "127.0.0.1"
HIGHEST = 65_535


def free_port(*, preferred: int | None = None) -> int:
    """Return the preferred port if it is free, else one that the system picks."""
    if preferred is not None and is_free(preferred):
        return preferred
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    # A listener on all interfaces does not everywhere stop a bind to one of them, so ask both ways.
    if answers(port):
        return False
    with suppress(OSError), socket.create_server((LOOPBACK, port)):
        return True
    return False


def answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((LOOPBACK, port)) == 0


def require_free(wanted: Mapping[str, int], *, within_seconds: float = 0) -> None:
    """Raise UserError, which names the variable to set, when a port is given twice or is not free in time."""
    deadline = time.monotonic() + within_seconds
    owners: dict[int, str] = {}
    for variable, port in wanted.items():
        if port in owners:
            raise UserError(f"{owners[port]} and {variable} are both {port}: set one of them to another port.")
        owners[port] = variable
        while not is_free(port) and time.monotonic() < deadline:
            time.sleep(0.1)
        if not is_free(port):
            other = next((p for p in range(port + 1, HIGHEST) if p not in wanted.values() and is_free(p)), 0)
            raise UserError(f"Port {port} is in use{_owner(port)}: set {variable}, for example {variable}={other}.")


def _owner(port: int) -> str:
    """Return " by `COMMAND` (pid 1)" for the process that listens on a port, where the system tells us."""
    with suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            if connection.pid and connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,):
                command = " ".join(psutil.Process(connection.pid).cmdline())
                return f" by `{command[:80]}` (pid {connection.pid})"
    return ""
