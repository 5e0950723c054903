"""`make backup`, `make backups`, `make restore`: the commands of PostgreSQL's image, on the database of the stack."""

import os
from urllib.parse import unquote, urlsplit

from compose.embedded import data_dir as data_dirs
from compose.embedded import postgres, valkey
from compose.embedded.command import run_command
from compose.embedded.data_dir import DataDir
from compose.embedded.errors import Refusal
from compose.embedded.guard import Guard
from compose.embedded.options import ROOT, Options
from compose.embedded.servers import lasting_servers, reachable_servers

COMMANDS = ROOT / "compose" / "production" / "postgres" / "maintenance"


def back_up(options: Options) -> int:
    """Make a backup, whether the stack runs or not."""
    data_dir = DataDir(options.data_dir)
    if not (options.database_url or data_dir.lock.exists()):
        raise Refusal(f"There is nothing in {data_dir.path} to back up.")
    with reachable_servers(options) as variables:
        data_dir.backups.mkdir(mode=0o700, exist_ok=True)
        return _run("backup", data_dir=data_dir, database_url=variables["DATABASE_URL"])


def list_backups(options: Options) -> int:
    data_dir = _with_backups(options)
    return run_command([str(COMMANDS / "backups")], {"BACKUP_DIR": str(data_dir.backups)})


def restore(options: Options, name: str) -> int:
    """Put a backup in the place of the database, refused while the stack runs; it starts with an empty Valkey then."""
    _with_backups(options)
    with (
        data_dirs.claim(options.data_dir) as data_dir,
        Guard() as guard,
        lasting_servers(data_dir, options, guard) as servers,
    ):
        code = _run("restore", name, data_dir=data_dir, database_url=servers.variables["DATABASE_URL"])
        if code == 0:
            # What was restored is what there is to see; the next start adds no demo data.
            data_dir.demo_marker(options.database_url).touch()
            if options.redis_url:
                print("helpdesk: Empty the Redis that REDIS_URL names: it holds lists of what was there before.")
            else:
                valkey.empty(servers.variables["REDIS_URL"])
        return code


def _with_backups(options: Options) -> DataDir:
    data_dir = DataDir(options.data_dir)
    if not any(data_dir.backups.glob("*.dump")):
        raise Refusal(f"There are no backups in {data_dir.backups}.")
    return data_dir


def _run(command: str, *arguments: str, data_dir: DataDir, database_url: str) -> int:
    url = urlsplit(database_url)
    variables = {
        "PATH": f"{postgres.programs()}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "BACKUP_DIR": str(data_dir.backups),
        "POSTGRES_HOST": url.hostname or "",
        "POSTGRES_PORT": str(url.port or 5432),
        "POSTGRES_DB": unquote(url.path.removeprefix("/")),
        "POSTGRES_USER": unquote(url.username or ""),
        "POSTGRES_PASSWORD": unquote(url.password or ""),
    }
    return run_command([str(COMMANDS / command), *arguments], variables)
