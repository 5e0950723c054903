"""The processor time of the product: of the web server, PostgreSQL and Valkey, each with its child processes."""

from collections.abc import Mapping
from contextlib import suppress

import psutil
import psycopg
import redis

PARTS = ("server", "PostgreSQL", "Valkey")


class CpuClock:
    """Reads the processor time of the processes that serve requests."""

    def __init__(self, *, server_pid: int, database_url: str, redis_url: str) -> None:
        self._roots = (psutil.Process(server_pid), _postmaster(database_url), _valkey(redis_url))

    def cpu_seconds(self) -> Mapping[str, float]:
        """Return the user and system time of each part since its start."""
        return {part: _tree_seconds(root) for part, root in zip(PARTS, self._roots, strict=True)}


def _tree_seconds(root: psutil.Process) -> float:
    """Return the time of a process and its children; ended children count towards their parent."""
    seconds = _own_seconds(root)
    for child in root.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            seconds += _own_seconds(child)
    return seconds


def _own_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system + times.children_user + times.children_system


def _postmaster(database_url: str) -> psutil.Process:
    with psycopg.connect(database_url) as connection:
        backend = psutil.Process(connection.info.backend_pid)
        return _checked("postgres", backend.parent() or backend)


def _valkey(redis_url: str) -> psutil.Process:
    with redis.Redis.from_url(redis_url) as client:
        return _checked(("valkey", "redis"), psutil.Process(client.info("server")["process_id"]))


def _checked(names: str | tuple[str, ...], process: psutil.Process) -> psutil.Process:
    """Return the process; psutil.NoSuchProcess if the server runs elsewhere and its pid is another process here."""
    if not process.name().startswith(names):
        raise psutil.NoSuchProcess(process.pid, msg="PostgreSQL and Valkey must run on this machine")
    return process
