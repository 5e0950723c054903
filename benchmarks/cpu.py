"""How much processor time the product has used: the web server, PostgreSQL and Valkey, each with its children."""

from collections.abc import Mapping
from contextlib import suppress

import psutil
import psycopg
import redis

PARTS = ("server", "PostgreSQL", "Valkey")


class Machinery:
    """The processes that work for a request."""

    def __init__(self, *, server_pid: int, database_url: str, redis_url: str) -> None:
        self._roots = (psutil.Process(server_pid), _postmaster(database_url), _valkey(redis_url))

    def cpu_seconds(self) -> Mapping[str, float]:
        """Return user and system time since each part began."""
        return {part: _family_seconds(root) for part, root in zip(PARTS, self._roots, strict=True)}


def _family_seconds(root: psutil.Process) -> float:
    """Count a process, its children, and its children that have ended: their parent inherits their time."""
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
        return _called("postgres", backend.parent() or backend)


def _valkey(redis_url: str) -> psutil.Process:
    with redis.Redis.from_url(redis_url) as client:
        return _called(("valkey", "redis"), psutil.Process(client.info("server")["process_id"]))


def _called(names: str | tuple[str, ...], process: psutil.Process) -> psutil.Process:
    """Refuse a number that means another process here: the server runs in another container or on another machine."""
    if not process.name().startswith(names):
        raise psutil.NoSuchProcess(process.pid, msg="PostgreSQL and Valkey must run on this machine")
    return process
