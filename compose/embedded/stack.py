"""The whole stack in the foreground: the servers, the database and every process of the product, until Ctrl-C."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import psycopg

from compose.embedded import data_dir as data_dirs
from compose.embedded.errors import UserError
from compose.embedded.node import find_node
from compose.embedded.options import ROOT, Options
from compose.embedded.ports import LOOPBACK, require_free
from compose.embedded.processes import LEFTOVER_SECONDS
from compose.embedded.product import LocalTopology, manage, page_answers
from compose.embedded.production import ProductionTopology
from compose.embedded.servers import running_servers
from compose.embedded.supervisor import supervise
from helpdesk.demo import PASSWORD

EMBEDDED = ROOT / "compose" / "embedded"
MAILDEV = EMBEDDED / "node_modules" / "maildev" / "dist" / "bin" / "maildev.js"
KEPT_MAILS = 1_000
ANSWER_SECONDS = 60
POLL_SECONDS = 0.2


def run_stack(options: Options, topology: LocalTopology | ProductionTopology) -> None:
    """Run all of it until a signal comes; UserError when a process ends by itself."""
    node = find_node()
    if node is None:
        raise UserError("There is no Node: run `make up`, which installs one.")
    with data_dirs.claim(options.data_dir) as data_dir:
        ports = {topology.port_variable: options.port, "EMAIL_PORT": options.smtp_port}
        ports |= {"MAIL_PORT": options.mail_port, "FLOWER_PORT": options.flower_port}
        # Left by a stack that was killed, whose processes need a moment to end.
        require_free(ports, within_seconds=LEFTOVER_SECONDS if data_dir.environment.exists() else 0)
        print("Start PostgreSQL and Valkey", flush=True)
        with running_servers(data_dir, options) as servers:
            mail = {"EMAIL_HOST": LOOPBACK, "EMAIL_PORT": str(options.smtp_port)}
            environment = topology.environment(servers.variables | mail)
            topology.prepare(environment)
            fill_database(options, environment)
            commands = topology.commands() | {"mail": mail_command(node, options, data_dir.mail)}
            announce = partial(announce_when_ready, options, topology)
            if not supervise(commands, environment, beside=announce, servers=servers.running):
                raise UserError("The stack was stopped because a process ended; its last lines are above.")


def fill_database(options: Options, environment: Mapping[str, str]) -> None:
    """Migrate, and add the demo data to a database without users."""
    with psycopg.connect(environment["DATABASE_URL"], autocommit=True) as connection:
        require_known_migrations(connection)
        print("Migrate the database", flush=True)
        manage("migrate", "--verbosity=0", environment=environment)
        counts = "SELECT count(*), count(*) FILTER (WHERE is_superuser) FROM users_user"
        users, superusers = connection.execute(counts).fetchone() or (0, 0)
    if users and options.database_url:
        print("No demo data: the database that DATABASE_URL names has users.", flush=True)
    elif not superusers:
        print(f"Make {options.demo_tickets} demo tickets", flush=True)
        # Production's settings ask for --yes. The administrator comes last: without one it was interrupted.
        manage("generate_fake_data", f"--tickets={options.demo_tickets}", "--yes", environment=environment)
        manage("create_demo_admin", "--yes", environment=environment)


def require_known_migrations(connection: psycopg.Connection) -> None:
    """Raise UserError when a migration was applied that this version does not have."""
    known = {(path.parts[-3], path.stem) for path in (ROOT / "helpdesk").glob("*/migrations/[0-9]*.py")}
    if connection.execute("SELECT to_regclass('django_migrations')").fetchone() == (None,):
        return
    applied = set(connection.execute("SELECT app, name FROM django_migrations").fetchall())
    if {app for app, _ in applied - known} & {app for app, _ in known}:
        raise UserError("The database is from another version: run `make reset`, which empties the data folder.")


def mail_command(node: Path, options: Options, folder: Path) -> list[str]:
    return [
        *(str(node), f"--import={EMBEDDED / 'mail_page.mjs'}", str(MAILDEV)),
        *("--ip", LOOPBACK, "--smtp", str(options.smtp_port)),
        *("--web-ip", LOOPBACK, "--web", str(options.mail_port)),
        *("--mail-directory", str(folder), "--max-emails", str(KEPT_MAILS)),
    ]


def announce_when_ready(options: Options, topology: LocalTopology | ProductionTopology) -> None:
    """Wait until all pages answer and print where they are, or print which ones do not answer."""
    mail, flower = (f"http://localhost:{port}/" for port in (options.mail_port, options.flower_port))
    silent: dict[str, Callable[[], bool]]
    silent = {"web": topology.answers, "mail": partial(page_answers, mail), "flower": partial(page_answers, flower)}
    deadline = time.monotonic() + ANSWER_SECONDS
    while silent := {name: answers for name, answers in silent.items() if not answers()}:
        if time.monotonic() > deadline:
            print(f"Still no answer after {ANSWER_SECONDS} s from: {', '.join(silent)}.", flush=True)
            return
        time.sleep(POLL_SECONDS)
    print(announcement(topology.url, mail, flower) + topology.notes, flush=True)


def announcement(site: str, mail: str, flower: str) -> str:
    return f"""
The helpdesk is running; Ctrl-C stops all of it.

  Home        {site}/
  API         {site}/api/
  Swagger     {site}/api/docs/
  Admin       {site}/admin/
  E-mails     {mail}
  Flower      {flower}
  Websocket   ws{site.removeprefix("http")}/ws/notifications/?token=<access>

  Logins      agent_1, customer_1, and admin (superuser); the password of each is {PASSWORD}
"""
