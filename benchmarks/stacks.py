"""The processes of the product that are measured, as `make up` and `make production` run them."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import psutil

from benchmarks.load import Address
from benchmarks.resources import Resources
from compose.embedded.options import ROOT
from compose.embedded.ports import LOOPBACK, answers, free_port
from compose.embedded.processes import kill_group, start_process
from compose.embedded.product import common_environment
from compose.embedded.production import ProductionTopology

WEB = ("web-1", "web-2", "proxy")
WORKERS = 2
START_SECONDS = 60
POLL_SECONDS = 0.05
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
class Program:
    command: list[str]
    is_ready: Callable[[str], bool]
    """Whether it is ready, given its output."""


@dataclass(frozen=True)
class Stack:
    """Running processes and where they answer."""

    description: str
    http: Address
    websocket: Address
    environment: Mapping[str, str]
    resources: Resources


@contextmanager
def running_local() -> Iterator[Stack]:
    """Run the web server of `make up`, without the program that restarts it when code changes."""
    address = Address("localhost", free_port())
    command = [sys.executable, "-m", "daphne", "-v", "0", "-b", LOOPBACK, "-p", str(address.port)]
    web = Program([*command, "config.asgi:application"], listens_on(address.port))
    environment = common_environment(NO_LIMITS) | {"DJANGO_SETTINGS_MODULE": "config.settings.local"}
    description = f"Local: Daphne {version('daphne')} with `config.settings.local`"
    with running({"web": web}, environment) as resources:
        yield Stack(description, address, address, environment, resources)


@contextmanager
def running_production(
    *names: str, smtp_port: int = 25, web_commands: Callable[[int], list[str]] | None = None
) -> Iterator[Stack]:
    """Run the named processes of `make production`, all without names.

    `web_commands` returns the command of another web server for a port.
    """
    with tempfile.TemporaryDirectory() as folder:
        topology = ProductionTopology(Path(folder), free_port())
        commands = topology.commands()
        if web_commands:
            commands |= {f"web-{number}": web_commands(port) for number, port in enumerate(topology.web_ports, 1)}
        programs = {name: Program(commands[name], readiness(topology)[name]) for name in names or commands}
        mail = {"EMAIL_HOST": LOOPBACK, "EMAIL_PORT": str(smtp_port)}
        environment = topology.environment(NO_LIMITS | mail | {"TMPDIR": folder})
        caddy = subprocess.check_output(["caddy", "version"], env=environment, text=True).split()[0]
        with running(programs, environment) as resources:
            yield Stack(
                f"Production: two Granian {version('granian')} behind Caddy {caddy} with TLS",
                Address("localhost", topology.port, topology.authority),
                Address("localhost", topology.websocket_port),
                environment,
                resources,
            )


def readiness(topology: ProductionTopology) -> dict[str, Callable[[str], bool]]:
    """Return for each process of production whether it is ready, given its output."""
    webs = {f"web-{number}": listens_on(port) for number, port in enumerate(topology.web_ports, 1)}
    return webs | {
        "websocket": listens_on(topology.websocket_port),
        "announcer": lambda output: "Announcing events" in output,
        "worker": lambda output: output.count(" ready.") == WORKERS,
        "beat": lambda _: True,
        "flower": listens_on(topology.flower_port),
        "proxy": lambda _: topology.authority.exists() and answers(topology.port),
    }


def listens_on(port: int) -> Callable[[str], bool]:
    return lambda _: answers(port)


@contextmanager
def running(programs: Mapping[str, Program], environment: Mapping[str, str]) -> Iterator[Resources]:
    """Run programs until the end of the context, which begins when all are ready."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as exits:
        processes = {}
        for name, program in programs.items():
            with Path(folder, name).open("wb") as log:
                process = start_process(program.command, cwd=ROOT, env=environment, stdout=log, stderr=log)
            exits.callback(process.wait)
            exits.callback(kill_group, process.pid)
            processes[name] = process
        for name, program in programs.items():
            wait_until_ready(name, program, processes[name], Path(folder, name))
        yield Resources({name: psutil.Process(process.pid) for name, process in processes.items()})


def wait_until_ready(name: str, program: Program, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until a program is ready; sys.exit with its output if it ends before, or is not ready in START_SECONDS."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if program.is_ready(log.read_text(errors="replace")):
            return
        time.sleep(POLL_SECONDS)
    sys.exit(f"{name} does not start:\n{log.read_text(errors='replace')}")


def granian(application: str) -> Callable[[int], list[str]]:
    """Return the command, for a port, of a Granian that serves another application as production does its own."""
    options = ["--interface", "wsgi", "--no-ws", "--host", LOOPBACK, "--workers", "2", "--blocking-threads", "4"]
    return lambda port: [sys.executable, "-m", "granian", *options, "--port", str(port), application]
