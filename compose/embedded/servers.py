"""PostgreSQL and Valkey together, and the variables that lead the product to them."""

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from compose.embedded import data_dir as data_dirs
from compose.embedded import secret
from compose.embedded.data_dir import DataDir
from compose.embedded.guard import Guard
from compose.embedded.options import Options
from compose.embedded.postgres import running_postgres
from compose.embedded.processes import Server
from compose.embedded.progress import step
from compose.embedded.valkey import running_valkey


@dataclass(frozen=True)
class Servers:
    """The servers that we run ourselves, and the variables of all that are used."""

    running: list[Server]
    variables: dict[str, str]


@contextmanager
def lasting_servers(data_dir: DataDir, options: Options, guard: Guard) -> Iterator[Servers]:
    """Run the servers that the environment does not name, with their data in the data folder."""
    with ExitStack() as stack:
        running = []
        database_url, redis_url = options.database_url, options.redis_url
        if not database_url:
            with step("Start PostgreSQL"):
                running.append(stack.enter_context(running_postgres(data_dir.postgres, guard=guard)))
            database_url = running[-1].url
        if not redis_url:
            with step("Start Valkey"):
                running.append(stack.enter_context(running_valkey(data_dir.valkey, guard=guard)))
            redis_url = running[-1].url
        variables = {
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "CELERY_BROKER_URL": options.broker_url or redis_url,
            "DJANGO_SECRET_KEY": os.environ.get("DJANGO_SECRET_KEY") or data_dir.secret_key,
        }
        stack.enter_context(_published(data_dir, variables))
        yield Servers(running, variables)


@contextmanager
def throwaway_servers() -> Iterator[dict[str, str]]:
    """Run empty servers in a temporary folder and yield the variables that lead to them."""
    with ExitStack() as stack:
        guard = stack.enter_context(Guard())
        folder = stack.enter_context(temporary_folder(guard))
        postgres = stack.enter_context(running_postgres(folder / "postgres", guard=guard, throwaway=True))
        (folder / "valkey").mkdir(mode=0o700)
        valkey = stack.enter_context(running_valkey(folder / "valkey", guard=guard, throwaway=True))
        yield {
            "DATABASE_URL": postgres.url,
            "REDIS_URL": valkey.url,
            "CELERY_BROKER_URL": valkey.url,
            "DJANGO_SECRET_KEY": secrets.token_urlsafe(50),
        }


@contextmanager
def temporary_folder(guard: Guard) -> Iterator[Path]:
    """Make a folder for servers, which is removed in the end, whatever ends us."""
    with tempfile.TemporaryDirectory(prefix="helpdesk-") as name:
        folder = Path(name).resolve()
        guard.will_remove(folder)
        if os.geteuid() == 0:
            # PostgreSQL, which runs under another account then, has to get through.
            folder.chmod(0o711)
        yield folder


@contextmanager
def reachable_servers(options: Options) -> Iterator[dict[str, str]]:
    """Yield the variables of the stack that runs on the data folder; run its servers if none does."""
    if data_dirs.is_claimed(options.data_dir):
        yield _read_published(DataDir(options.data_dir))
        return
    with (
        Guard() as guard,
        data_dirs.claim(options.data_dir) as data_dir,
        lasting_servers(data_dir, options, guard) as servers,
    ):
        yield servers.variables


@contextmanager
def _published(data_dir: DataDir, variables: dict[str, str]) -> Iterator[None]:
    data_dir.environment.unlink(missing_ok=True)
    secret.write(data_dir.environment, "".join(f"{name}={value}\n" for name, value in variables.items()))
    try:
        yield
    finally:
        data_dir.environment.unlink(missing_ok=True)


def _read_published(data_dir: DataDir) -> dict[str, str]:
    lines = data_dir.environment.read_text().splitlines()
    return {name: value for name, _, value in (line.partition("=") for line in lines)}
