"""PostgreSQL and Valkey together, and the variables that lead the product to them."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from compose.embedded import secret
from compose.embedded.data_dir import DataDir, claim, is_claimed
from compose.embedded.options import Options
from compose.embedded.postgres import PLACE_FOR_ROOT, find_programs, running_postgres
from compose.embedded.processes import Server
from compose.embedded.valkey import running_valkey

# Servers that end at this moment may still write.
REMOVE_AT_PARENT_END = 'cat; until rm -rf -- "$0" 2>/dev/null; do sleep 0.1; done'


@dataclass(frozen=True)
class Servers:
    """The servers that we run ourselves, and the variables of all that are used."""

    running: list[Server]
    variables: dict[str, str]


@contextmanager
def running_servers(data_dir: DataDir, options: Options, *, throwaway: bool = False) -> Iterator[Servers]:
    """Run the servers that the options do not name, with their data in the data folder."""
    with ExitStack() as stack:
        running = []
        database_url, redis_url = options.database_url, options.redis_url
        if not database_url:
            running.append(stack.enter_context(running_postgres(data_dir.postgres, throwaway=throwaway)))
            database_url = running[-1].url
        if not redis_url:
            running.append(stack.enter_context(running_valkey(data_dir.valkey, throwaway=throwaway)))
            redis_url = running[-1].url
        variables = maintenance_variables(data_dir, database_url) | {
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "CELERY_BROKER_URL": options.broker_url or redis_url,
            "DJANGO_SECRET_KEY": options.secret_key or secret.read_or_make(data_dir.secret_key),
        }
        # Commands that find the data folder in use read them there.
        stack.callback(data_dir.environment.unlink, missing_ok=True)
        secret.write(data_dir.environment, "".join(f"{name}={value}\n" for name, value in variables.items()))
        yield Servers(running, variables)


def maintenance_variables(data_dir: DataDir, database_url: str) -> dict[str, str]:
    """Return what the commands of PostgreSQL's image need: backup, restore and rmbackup."""
    data_dir.backups.mkdir(mode=0o700, exist_ok=True)
    url = urlsplit(database_url)
    return {
        "PATH": f"{find_programs()}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "BACKUP_DIR": str(data_dir.backups),
        "POSTGRES_HOST": url.hostname or "",
        "POSTGRES_PORT": str(url.port or 5432),
        "POSTGRES_DB": unquote(url.path.removeprefix("/")),
        "POSTGRES_USER": unquote(url.username or ""),
        "POSTGRES_PASSWORD": unquote(url.password or ""),
    }


@contextmanager
def throwaway_servers() -> Iterator[dict[str, str]]:
    """Run empty servers in a temporary folder and yield the variables that lead to them."""
    with (
        temporary_folder() as folder,
        claim(folder) as data_dir,
        running_servers(data_dir, Options({}), throwaway=True) as servers,
    ):
        names = ("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL", "DJANGO_SECRET_KEY")
        yield {name: servers.variables[name] for name in names}


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Make a folder for servers, which is removed when this process ends, however it ends."""
    # Where PostgreSQL can reach it, which runs as another account for root.
    place = PLACE_FOR_ROOT if os.geteuid() == 0 else None
    if place:
        place.mkdir(mode=0o711, parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="temporary-", dir=place)).resolve()
    folder.chmod(0o711)
    command = ["sh", "-c", REMOVE_AT_PARENT_END, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True):
        yield folder


@contextmanager
def reachable_servers(options: Options) -> Iterator[dict[str, str]]:
    """Yield the variables of the stack that runs on the data folder; run its servers if none does."""
    if is_claimed(options.data_dir):
        lines = DataDir(options.data_dir).environment.read_text().splitlines()
        yield {name: value for name, _, value in (line.partition("=") for line in lines)}
        return
    with claim(options.data_dir) as data_dir, running_servers(data_dir, options) as servers:
        yield servers.variables
