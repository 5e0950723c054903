"""CPU time and memory of the processes of the product, PostgreSQL and Valkey, each with its child processes."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from os import environ

import psutil
import psycopg
import redis


class Resources:
    """Reads what processes use, by name; `web-1` and `web-2` count together as `web`."""

    def __init__(self, processes: Mapping[str, psutil.Process]) -> None:
        self.processes = {**processes, "PostgreSQL": find_postgres(), "Valkey": find_valkey()}

    def cpu_seconds(self) -> dict[str, float]:
        """Return the user and system time since the start; ended children count towards their parent."""
        return self._sum(_own_seconds)

    def pss_bytes(self) -> dict[str, float]:
        """Return the proportional set size: shared memory counts in equal parts for the processes that share it."""
        return self._sum(lambda process: process.memory_full_info().pss)

    def _sum(self, read: Callable[[psutil.Process], float]) -> dict[str, float]:
        sums: dict[str, float] = {}
        for name, root in self.processes.items():
            service = name.partition("-")[0]
            sums[service] = sums.get(service, 0) + sum(_read_tree(root, read))
        return sums


def cpu_ms_each(before: Mapping[str, float], after: Mapping[str, float], count: int) -> dict[str, float]:
    """Return the milliseconds between two readings of `cpu_seconds`, divided by a count."""
    return {name: (after[name] - before[name]) * 1000 / count for name in before}


def find_postgres() -> psutil.Process:
    with psycopg.connect(environ["DATABASE_URL"]) as connection:
        backend = psutil.Process(connection.info.backend_pid)
        return _checked("postgres", backend.parent() or backend)


def find_valkey() -> psutil.Process:
    with redis.Redis.from_url(environ["REDIS_URL"]) as client:
        return _checked(("valkey", "redis"), psutil.Process(client.info("server")["process_id"]))


def _checked(names: str | tuple[str, ...], process: psutil.Process) -> psutil.Process:
    """Return the process; psutil.NoSuchProcess if the server runs elsewhere and its pid is another process here."""
    if not process.name().startswith(names):
        raise psutil.NoSuchProcess(process.pid, msg="PostgreSQL and Valkey must run on this machine")
    return process


def _read_tree(root: psutil.Process, read: Callable[[psutil.Process], float]) -> Iterator[float]:
    yield read(root)
    for child in root.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            yield read(child)


def _own_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system + times.children_user + times.children_system
