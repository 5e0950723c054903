"""All processes of the product, with servers of their own that a fault may break."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import redis

from compose.embedded import valkey
from compose.embedded.guard import Guard
from compose.embedded.ports import LOOPBACK, answers, free_port
from compose.embedded.postgres import running_postgres
from compose.embedded.processes import kill_group
from compose.embedded.servers import temporary_folder
from faults.mail_sink import Script
from faults.program import Program, until
from faults.site import Site
from helpdesk.tickets.announcer import LEADER_LOCK

CUSTOMERS, AGENTS = 4, 2
USERNAMES = [
    *(f"customer_{number}" for number in range(1, CUSTOMERS + 1)),
    *(f"agent_{number}" for number in range(1, AGENTS + 1)),
]
WORKER_PROCESSES = 2
KEY = "a secret of nobody's " * 3
MANAGE = [sys.executable, "manage.py"]
CELERY = [sys.executable, "-m", "celery", "--app", "config"]
AnyWorld = TypeVar("AnyWorld", bound="World")
HAS_LEADER = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND granted"


class World(Site):
    """Made by `running_world`; every program in it works between two tests."""

    def __init__(self, folder: Path, guard: Guard, *, environment: Mapping[str, str]) -> None:
        super().__init__()
        self.folder = folder
        self.guard = guard
        self.valkey_port, self.mail_port = free_port(), free_port()
        self.made: list[Program] = []
        self.environment = {
            "DJANGO_SECRET_KEY": KEY,
            "REDIS_URL": f"redis://{LOOPBACK}:{self.valkey_port}/0",
            "CELERY_BROKER_URL": "",
            "CHANNEL_REDIS_URL": "",
            "EMAIL_HOST": LOOPBACK,
            "EMAIL_PORT": str(self.mail_port),
            **environment,
        }
        self.postgres = Postgres(folder / "postgres", guard)
        self.valkey = self.program("valkey", valkey_command(self.valkey_port), self.valkey_answers)
        self.mail = self.program("mail", self.mail_command(), self.mail_answers)
        self.products = self.product()
        self.programs = [self.valkey, self.mail, *self.products]

    def product(self) -> list[Program]:
        """Return the product's own programs."""
        raise NotImplementedError

    def program(self, name: str, command: list[str], is_ready: Callable[[], object]) -> Program:
        program = Program(
            name, command, folder=self.folder, guard=self.guard, environment=self.environment, is_ready=is_ready
        )
        self.made.append(program)
        return program

    def mail_command(self) -> list[str]:
        return [sys.executable, "-m", "faults.mail_sink", str(self.mail_port), str(self.folder)]

    # Whether something works

    def valkey_answers(self) -> bool:
        with suppress(redis.RedisError), redis.Redis(LOOPBACK, self.valkey_port, socket_timeout=1) as client:
            return bool(client.ping())
        return False

    def mail_answers(self) -> bool:
        return answers(self.mail_port)

    def has_leader(self) -> bool:
        return bool(self.sql(HAS_LEADER, LEADER_LOCK, rows=False))

    # What a test does to it

    def sql(self, query: str, *parameters: Any, rows: bool = True) -> Any:
        """Return the rows of a query, or how many there are."""
        with psycopg.connect(self.postgres.url, autocommit=True) as connection:
            cursor = connection.execute(query, parameters)
            return cursor.fetchall() if rows else cursor.rowcount

    def django(self, code: str) -> None:
        """Run code as `manage.py shell` does, in a process of its own."""
        self.run("shell", "--no-imports", "-c", code)

    def run(self, *arguments: str) -> None:
        command = self.program("manage", [*MANAGE, *arguments], lambda: True)
        command.begin()
        command.wait()
        if command.process is None or command.process.returncode:
            raise AssertionError(command.said())

    def script_mail(self, script: Script) -> None:
        new = self.folder / "script.new"
        new.write_text(json.dumps(script))
        new.rename(self.folder / "script.json")

    def mails(self, kind: str) -> list[dict[str, Any]]:
        """Return the messages that the SMTP server has `received` or `accepted`: id, to, at."""
        log = self.folder / f"{kind}.jsonl"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def calm(self) -> None:
        """Have everything run and work that a test has left otherwise."""
        self.script_mail({})
        for program in self.programs:
            if not program.is_running():
                program.begin()
        for program in self.programs:
            program.wait_until_ready()
        until(self.is_settled, what="everything is settled")


class LocalWorld(World):
    """With the settings of faults/settings.py, without a proxy."""

    def __init__(self, folder: Path, guard: Guard, *, mutation: str = "") -> None:
        self.web_port = free_port()
        self.site = f"http://{LOOPBACK}:{self.web_port}"
        environment = {"DJANGO_SETTINGS_MODULE": "faults.settings", "FAULTS_MUTATION": mutation}
        super().__init__(folder, guard, environment=environment)

    def product(self) -> list[Program]:
        daphne = [sys.executable, "-m", "daphne", "-b", LOOPBACK, "-p", str(self.web_port), "config.asgi:application"]
        self.web = self.program("web", daphne, self.web_answers)
        self.announcer = self.program("announcer", [*MANAGE, "announce_events"], self.has_leader)
        self.second_announcer = self.program("second-announcer", [*MANAGE, "announce_events"], lambda: True)
        alone = ["--without-gossip", "--without-mingle", "--loglevel", "INFO"]
        worker = [*CELERY, "worker", "--concurrency", str(WORKER_PROCESSES), *alone]
        self.worker = self.program("worker", worker, lambda: " ready." in self.worker.said())
        self.second_worker = self.program("second-worker", worker, lambda: " ready." in self.second_worker.said())
        beat = [*CELERY, "beat", "--schedule", str(self.folder / "beat"), "--pidfile=", "--loglevel", "INFO"]
        self.beat = self.program("beat", beat, lambda: "Starting" in self.beat.said())
        return [self.web, self.announcer, self.worker, self.beat]


def valkey_command(port: int) -> list[str]:
    options = valkey.SETTINGS | {"port": str(port), "save": ""}
    return [str(valkey.program()), *(part for name, value in options.items() for part in (f"--{name}", value))]


class Postgres:
    """A PostgreSQL that comes back on the port where it was."""

    def __init__(self, home: Path, guard: Guard) -> None:
        self.home = home
        self.guard = guard
        self.stack = ExitStack()
        self.url = ""
        self.pid = 0

    def start(self) -> None:
        server = self.stack.enter_context(running_postgres(self.home, guard=self.guard))
        self.url, self.pid = server.url, server.process.pid

    def kill(self) -> None:
        kill_group(self.pid)
        self.stop()

    def stop(self) -> None:
        self.stack.close()


@contextmanager
def running_world(make: Callable[[Path, Guard], AnyWorld]) -> Iterator[AnyWorld]:
    """Run everything, with the demo's users and not a single ticket."""
    with ExitStack() as stack:
        guard = stack.enter_context(Guard())
        folder = stack.enter_context(temporary_folder(guard))
        world = make(folder, guard)
        stack.callback(world.postgres.stop)
        world.postgres.start()
        world.environment["DATABASE_URL"] = world.postgres.url
        stack.callback(end_all, world.made)
        world.valkey.start()
        world.run("migrate", "--verbosity=0")
        world.run(
            "generate_fake_data", "--tickets=0", f"--customers={CUSTOMERS}", f"--agents={AGENTS}", "--seed=1", "--yes"
        )
        world.calm()
        # Nobody can log in while Redis is away.
        for username in USERNAMES:
            world.token(username)
        yield world


def end_all(programs: Iterable[Program]) -> None:
    for program in programs:
        if program.is_running():
            program.kill()
