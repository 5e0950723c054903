"""All processes of the product, with servers of their own that a test may break."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import redis

from compose.embedded import valkey
from compose.embedded.ports import LOOPBACK, answers, free_port
from compose.embedded.postgres import running_postgres
from compose.embedded.processes import kill_group
from compose.embedded.servers import temporary_folder
from faults.mail_sink import Script
from faults.program import Program
from faults.site import Site
from helpdesk.testing import wait_until
from helpdesk.tickets.announcer import LEADER_LOCK

CUSTOMERS, AGENTS = 4, 2
USERNAMES = [
    *(f"customer_{number}" for number in range(1, CUSTOMERS + 1)),
    *(f"agent_{number}" for number in range(1, AGENTS + 1)),
]
USER_OPTIONS = ["--tickets=0", f"--customers={CUSTOMERS}", f"--agents={AGENTS}", "--seed=1", "--yes"]
WORKER_PROCESSES = 2
SECRET_KEY = "only for the tests of faults " * 3
MANAGE = [sys.executable, "manage.py"]
CELERY = [sys.executable, "-m", "celery", "--app", "config"]
AnyStack = TypeVar("AnyStack", bound="FaultStack")
HAS_LEADER = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND granted"


class FaultStack(Site):
    """Created by `running_stack`; every program of it runs between two tests."""

    def __init__(self, folder: Path, *, environment: Mapping[str, str]) -> None:
        super().__init__()
        self.folder = folder
        self.valkey_port, self.mail_port = free_port(), free_port()
        self.created: list[Program] = []
        # The servers of the stack win over those that the tests themselves use.
        self.environment = {
            **environment,
            "DJANGO_SECRET_KEY": SECRET_KEY,
            "REDIS_URL": f"redis://{LOOPBACK}:{self.valkey_port}/0",
            "CELERY_BROKER_URL": "",
            "CHANNEL_REDIS_URL": "",
            "EMAIL_HOST": LOOPBACK,
            "EMAIL_PORT": str(self.mail_port),
        }
        self.postgres = Postgres(folder / "postgres")
        self.valkey = self.create_program("valkey", valkey_command(self.valkey_port), self.valkey_answers)
        self.mail = self.create_program("mail", self.mail_command(), self.mail_answers)
        self.product_programs = self.create_product_programs()
        self.programs = [self.valkey, self.mail, *self.product_programs]

    def create_product_programs(self) -> list[Program]:
        raise NotImplementedError

    def create_program(self, name: str, command: list[str], is_ready: Callable[[], object]) -> Program:
        program = Program(name, command, folder=self.folder, environment=self.environment, is_ready=is_ready)
        self.created.append(program)
        return program

    def mail_command(self) -> list[str]:
        return [sys.executable, "-m", "faults.mail_sink", str(self.mail_port), str(self.folder)]

    def valkey_answers(self) -> bool:
        with suppress(redis.RedisError), redis.Redis(LOOPBACK, self.valkey_port, socket_timeout=1) as client:
            return bool(client.ping())
        return False

    def mail_answers(self) -> bool:
        return answers(self.mail_port)

    def has_leader(self) -> bool:
        return bool(self.sql(HAS_LEADER, LEADER_LOCK, rows=False))

    def sql(self, query: str, *parameters: Any, rows: bool = True) -> Any:
        """Return the rows of a query, or their number."""
        with psycopg.connect(self.postgres.url, autocommit=True) as connection:
            cursor = connection.execute(query, parameters)
            return cursor.fetchall() if rows else cursor.rowcount

    def run_in_shell(self, code: str) -> None:
        """Run code in a `manage.py shell`."""
        self.manage("shell", "--no-imports", "-c", code)

    def manage(self, *arguments: str) -> None:
        command = self.create_program("manage", [*MANAGE, *arguments], lambda: True)
        command.launch()
        try:
            command.wait()
        finally:
            command.kill()
        if command.process is None or command.process.returncode:
            raise AssertionError(command.output())

    def script_mail(self, script: Script) -> None:
        """Set the behaviour of the SMTP server."""
        new = self.folder / "script.new"
        new.write_text(json.dumps(script))
        new.rename(self.folder / "script.json")

    def mails(self, kind: str) -> list[dict[str, Any]]:
        """Return the messages that the SMTP server has `received` or `accepted`: id, to, at."""
        log = self.folder / f"{kind}.jsonl"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def wait_until_idle(self) -> None:
        """Start what a test has left stopped, and wait until nothing is outstanding."""
        self.script_mail({})
        for program in self.programs:
            if not program.is_running():
                program.launch()
        for program in self.programs:
            program.wait_until_ready()
        wait_until(self.is_idle, what="nothing is outstanding")


class LocalStack(FaultStack):
    """The product with the settings of faults/settings.py, without a proxy."""

    def __init__(self, folder: Path, *, mutation: str = "") -> None:
        self.web_port = free_port()
        self.url = f"http://{LOOPBACK}:{self.web_port}"
        environment = {"DJANGO_SETTINGS_MODULE": "faults.settings", "FAULTS_MUTATION": mutation}
        super().__init__(folder, environment=environment)

    def create_product_programs(self) -> list[Program]:
        daphne = [sys.executable, "-m", "daphne", "-b", LOOPBACK, "-p", str(self.web_port), "config.asgi:application"]
        self.web = self.create_program("web", daphne, self.web_answers)
        self.announcer = self.create_program("announcer", [*MANAGE, "announce_events"], self.has_leader)
        self.second_announcer = self.create_program("second-announcer", [*MANAGE, "announce_events"], lambda: True)
        alone = ["--without-gossip", "--without-mingle", "--loglevel", "INFO"]
        worker = [*CELERY, "worker", "--queues", "celery", "--concurrency", str(WORKER_PROCESSES), *alone]
        account_worker = [*CELERY, "worker", "--hostname", "account-emails@%h", "--queues", "account-emails", *alone]
        self.worker = self.create_program("worker", worker, lambda: " ready." in self.worker.output())
        self.second_worker = self.create_program(
            "second-worker", worker, lambda: " ready." in self.second_worker.output()
        )
        self.account_worker = self.create_program(
            "account-worker",
            [*account_worker, "--concurrency", "1"],
            lambda: " ready." in self.account_worker.output(),
        )
        beat = [*CELERY, "beat", "--schedule", str(self.folder / "beat"), "--pidfile=", "--loglevel", "INFO"]
        self.beat = self.create_program("beat", beat, lambda: "Starting" in self.beat.output())
        return [self.web, self.announcer, self.worker, self.account_worker, self.beat]


def valkey_command(port: int) -> list[str]:
    options = valkey.SETTINGS | {"port": str(port), "save": ""}
    return [str(valkey.program()), *(part for name, value in options.items() for part in (f"--{name}", value))]


class Postgres:
    """A PostgreSQL that restarts on the same port."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.exits = ExitStack()
        self.url = ""
        self.pid = 0

    def start(self) -> None:
        server = self.exits.enter_context(running_postgres(self.home))
        self.url, self.pid = server.url, server.process.pid

    def kill(self) -> None:
        kill_group(self.pid)
        self.stop()

    def stop(self) -> None:
        self.exits.close()


@contextmanager
def running_stack(create: Callable[[Path], AnyStack]) -> Iterator[AnyStack]:
    """Run a stack with demo users and no tickets."""
    with ExitStack() as exits:
        stack = create(exits.enter_context(temporary_folder()))
        exits.callback(stack.postgres.stop)
        stack.postgres.start()
        stack.environment["DATABASE_URL"] = stack.postgres.url
        exits.callback(kill_all, stack.created)
        stack.valkey.start()
        stack.manage("migrate", "--verbosity=0")
        stack.manage("generate_fake_data", *USER_OPTIONS)
        stack.wait_until_idle()
        # Nobody can log in while Redis is down.
        for username in USERNAMES:
            stack.token(username)
        yield stack


def kill_all(programs: Iterable[Program]) -> None:
    for program in programs:
        if program.is_running():
            program.kill()
