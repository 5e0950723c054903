"""TCP ports on the loopback interface."""

import socket
from collections.abc import Mapping
from contextlib import suppress

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


def require_free(wanted: Mapping[str, int]) -> None:
    """Raise UserError, which names the variable to set, when a port is taken or given twice."""
    owners: dict[int, str] = {}
    for variable, port in wanted.items():
        if port in owners:
            raise UserError(f"{owners[port]} and {variable} are both {port}: set one of them to another port.")
        owners[port] = variable
        if not is_free(port):
            other = next((p for p in range(port + 1, HIGHEST) if p not in wanted.values() and is_free(p)), 0)
            raise UserError(f"Port {port} is in use: set {variable}, for example {variable}={other}.")
