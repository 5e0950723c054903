"""The web servers that are measured."""

import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from benchmarks.load import Address
from compose.embedded.ports import LOOPBACK, answers, free_port

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 20
STOP_SECONDS = 10
# With rate limits a benchmark would end after 100 requests.
NO_LIMITS = dict.fromkeys(
    [
        "THROTTLE_USER_RATE",
        "THROTTLE_ANON_RATE",
        "THROTTLE_LOGIN_RATE",
        "THROTTLE_TICKET_RATE",
        "THROTTLE_COMMENT_RATE",
    ],
    "",
)


@dataclass(frozen=True)
class ServerKind:
    """A way to run the product's web server."""

    package: str
    module: str
    arguments: list[str]
    settings: str
    environment: Mapping[str, str]

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-m", self.module, *self.arguments]

    @property
    def is_installed(self) -> bool:
        return importlib.util.find_spec(self.package) is not None


SERVER_KINDS = {
    "daphne": ServerKind(
        "daphne",
        "daphne",
        ["-v", "0", "-b", LOOPBACK, "-p", "{port}", "config.asgi:application"],
        "config.settings.local",
        {},
    ),
    "granian": ServerKind(
        "granian",
        "granian",
        [
            *("--interface", "wsgi", "--no-ws", "--host", LOOPBACK, "--port", "{port}"),
            *("--workers", "2", "--blocking-threads", "4"),
            *("--log-config", "config/granian_logs.json", "config.wsgi:application"),
        ],
        "config.settings.production",
        {
            "DJANGO_ALLOWED_HOSTS": LOOPBACK,
            "DJANGO_SECURE_SSL_REDIRECT": "false",
            "SITE_URL": f"https://{LOOPBACK}",
            "EMAIL_HOST": LOOPBACK,
        },
    ),
}


@contextmanager
def running_server(kind: ServerKind) -> Iterator[tuple[int, Address]]:
    """Run a server on a free port; yield its process id and its address."""
    address = Address(LOOPBACK, free_port())
    command = [part.format(port=address.port) for part in kind.command]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment(kind), stdout=log, stderr=subprocess.STDOUT)
        try:
            _wait_until_ready(process, address, log)
            yield process.pid, address
        finally:
            _stop(process)


def environment(kind: ServerKind) -> dict[str, str]:
    return {**os.environ, **NO_LIMITS, **kind.environment, "DJANGO_SETTINGS_MODULE": kind.settings}


def _wait_until_ready(process: subprocess.Popen[bytes], address: Address, log: IO[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if answers(address.port):
            return
        time.sleep(0.1)
    log.seek(0)
    sys.exit(f"The server does not start:\n{log.read().decode(errors='replace')}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
