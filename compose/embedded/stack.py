"""`make up`: the servers, the database and every process of the product, until Ctrl-C."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from compose.embedded import data_dir as data_dirs
from compose.embedded import product
from compose.embedded.data_dir import DataDir
from compose.embedded.errors import UserError
from compose.embedded.node import find_node
from compose.embedded.options import ROOT, Options
from compose.embedded.ports import LOOPBACK, free_port, require_free
from compose.embedded.servers import Servers, lasting_servers
from compose.embedded.supervisor import supervise


@dataclass(frozen=True)
class StackContext:
    """The data folder, the running servers, and what captures e-mails."""

    options: Options
    data_dir: DataDir
    servers: Servers
    mail: list[str]
    smtp_port: int

    @property
    def variables(self) -> dict[str, str]:
        return self.servers.variables | {"EMAIL_HOST": LOOPBACK, "EMAIL_PORT": str(self.smtp_port)}


def run_stack(options: Options) -> None:
    """Run all of it in the foreground; UserError when a process ends by itself."""
    with prepared_stack(options, {"PORT": options.port}) as stack:
        site = f"http://localhost:{options.port}"
        settings = {"DJANGO_SETTINGS_MODULE": "config.settings.local"}
        environment = {"SITE_URL": site} | product.common_environment(stack.variables | settings)
        fill_database(stack, environment)
        commands, text = product.local_commands(options, stack.data_dir), product.announcement(site, options)
        run_commands(stack, commands, environment, text, lambda: product.page_answers(f"{site}/livez"))


@contextmanager
def prepared_stack(options: Options, ports: dict[str, int], *, command: str = "make up") -> Iterator[StackContext]:
    """Claim the data folder and the ports, and run the servers."""
    node = find_node()
    if node is None:
        raise UserError(f"There is no Node: run `{command}`, which installs one.")
    ports |= {"MAIL_PORT": options.mail_port, "FLOWER_PORT": options.flower_port}
    ports |= {"EMAIL_PORT": options.smtp_port} if options.smtp_port else {}
    with data_dirs.claim(options.data_dir) as data_dir:
        require_free(ports, command=command)
        smtp_port = options.smtp_port or free_port()
        mail = product.mail_command(options, data_dir, node=node, smtp_port=smtp_port)
        print("Start PostgreSQL and Valkey", flush=True)
        with lasting_servers(data_dir, options) as servers:
            yield StackContext(options, data_dir, servers, mail, smtp_port)


def fill_database(stack: StackContext, environment: Mapping[str, str]) -> None:
    """Migrate, and add the demo data to a database without users."""
    with psycopg.connect(stack.variables["DATABASE_URL"], autocommit=True) as connection:
        require_known_migrations(connection)
        print("Migrate the database", flush=True)
        product.manage("migrate", "--verbosity=0", environment=environment)
        counts = "SELECT count(*), count(*) FILTER (WHERE is_superuser) FROM users_user"
        users, superusers = connection.execute(counts).fetchone() or (0, 0)
    if users and stack.options.database_url:
        print("No demo data: the database that DATABASE_URL names has users.", flush=True)
    elif not superusers:
        print(f"Make {stack.options.demo_tickets} demo tickets", flush=True)
        # Production's settings ask for --yes. The administrator comes last: without one it was interrupted.
        product.manage(
            "generate_fake_data", f"--tickets={stack.options.demo_tickets}", "--yes", environment=environment
        )
        product.manage("create_demo_admin", "--yes", environment=environment)


def require_known_migrations(connection: psycopg.Connection) -> None:
    """Raise UserError when a migration was applied that this version does not have."""
    known = {(path.parts[-3], path.stem) for path in (ROOT / "helpdesk").glob("*/migrations/[0-9]*.py")}
    if connection.execute("SELECT to_regclass('django_migrations')").fetchone() == (None,):
        return
    applied = set(connection.execute("SELECT app, name FROM django_migrations").fetchall())
    if {app for app, _ in applied - known} & {app for app, _ in known}:
        raise UserError("The database is from another version: run `make reset`, which empties the data folder.")


def run_commands(
    stack: StackContext,
    commands: Mapping[str, list[str]],
    environment: Mapping[str, str],
    text: str,
    web_answers: Callable[[], bool],
) -> None:
    """Run the commands beside servers and mail until Ctrl-C; print the text once everything answers."""
    mail, flower = (f"http://localhost:{port}/" for port in (stack.options.mail_port, stack.options.flower_port))
    pages = {
        "web": web_answers,
        "mail": lambda: product.page_answers(mail),
        "flower": lambda: product.page_answers(flower),
    }
    all_commands = {**product.log_commands(stack.servers.running), **commands, "mail": stack.mail}
    if not supervise(all_commands, environment, lambda: product.announce_when_ready(text, pages)):
        raise UserError("The stack was stopped because a process ended; its last lines are above.")
