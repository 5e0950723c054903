"""The one folder that holds everything the stack remembers: databases, captured mail, the secret key."""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import psutil

from compose.embedded import postgres, secret
from compose.embedded.errors import Refusal
from compose.embedded.processes import end_leftovers

# A stack that has just locked the folder writes its process id next.
SECONDS_TO_SIGN = 1.0
POLL_SECONDS = 0.1
PACKAGE = "compose.embedded"


@dataclass(frozen=True)
class DataDir:
    path: Path

    @property
    def lock(self) -> Path:
        """Also tells this folder from somebody's other files."""
        return self.path / "helpdesk.lock"

    @property
    def environment(self) -> Path:
        """NAME=value lines for whoever wants to reach the running servers; exists only while they run."""
        return self.path / "environment"

    @property
    def postgres(self) -> Path:
        return self.path / "postgres"

    @property
    def valkey(self) -> Path:
        return self.path / "valkey"

    @property
    def mail(self) -> Path:
        return self.path / "mail"

    @property
    def celery(self) -> Path:
        return self.path / "celery"

    @property
    def production(self) -> Path:
        """What the production images get from here, and what the proxy keeps."""
        return self.path / "production"

    @property
    def backups(self) -> Path:
        return self.path / "backups"

    @property
    def secret_key(self) -> str:
        return secret.read_or_make(self.path / "secret-key")

    def demo_marker(self, database_url: str) -> Path:
        """Where it is noted that a database, by default the embedded one, has its demo data."""
        name = sha256(database_url.encode()).hexdigest()[:12] if database_url else "embedded"
        return self.path / f"demo-data-{name}"


@contextmanager
def claim(path: Path) -> Iterator[DataDir]:
    """Make the folder if need be and keep other stacks out of it."""
    data_dir = DataDir(path)
    try:
        _make(data_dir)
        lock = data_dir.lock.open("a+")
    except OSError as error:
        raise Refusal(f"The data folder {path} cannot be used ({error.strerror}): set DATA_DIR.") from None
    with lock:
        _lock(lock.fileno(), data_dir)
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield data_dir


def is_claimed(path: Path) -> bool:
    """Tell whether a stack runs on the folder."""
    lock = DataDir(path).lock
    if not lock.exists():
        return False
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def reset(path: Path) -> bool:
    """Empty the folder but for its backups, and remove what it points to; False when there is nothing to remove."""
    if not DataDir(path).lock.exists():
        return False
    with claim(path) as data_dir:
        postgres.remove(data_dir.postgres)
        for entry in _others_than_backups(data_dir):
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    return True


def _make(data_dir: DataDir) -> None:
    path = data_dir.path
    if path.exists() and not data_dir.lock.exists() and _others_than_backups(data_dir):
        raise Refusal(f"The folder {path} holds other files: set DATA_DIR to an empty or new folder.")
    if not path.exists():
        path.mkdir(parents=True)
        # The account that PostgreSQL runs under on behalf of root has to get through, and nobody has to look inside.
        path.chmod(0o711 if os.geteuid() == 0 else 0o700)
    for folder in (data_dir.valkey, data_dir.mail, data_dir.celery):
        folder.mkdir(mode=0o700, exist_ok=True)


def _others_than_backups(data_dir: DataDir) -> list[Path]:
    return [entry for entry in data_dir.path.iterdir() if entry != data_dir.backups]


def _lock(descriptor: int, data_dir: DataDir) -> None:
    """Lock the folder; what a killed stack has left running, which inherited its lock, is ended."""
    if _try_lock(descriptor):
        return
    if (pid := _running_stack(data_dir)) is not None:
        raise Refusal(
            f"The data folder {data_dir.path} is in use by a running stack (pid {pid}): stop it, or set DATA_DIR.",
        )
    end_leftovers(_with_children([holder for holder in _other_holders(data_dir) if _is_leftover(holder)]))
    if not _try_lock(descriptor):
        pids = ", ".join(str(holder.pid) for holder in _other_holders(data_dir)) or "unknown"
        raise Refusal(
            f"The data folder {data_dir.path} is in use by processes (pid {pids}): end them, or set DATA_DIR."
        )


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _running_stack(data_dir: DataDir) -> int | None:
    """Return the process that runs the stack; None when it is gone, and others still hold its lock."""
    deadline = time.monotonic() + SECONDS_TO_SIGN
    while True:
        signature = data_dir.lock.read_text().strip()
        for holder in _holders(data_dir):
            if str(holder.pid) == signature:
                return holder.pid
        if time.monotonic() > deadline:
            return None
        time.sleep(POLL_SECONDS)


def _holders(data_dir: DataDir) -> list[psutil.Process]:
    """Return the processes that have the lock file open, this one among them."""
    lock = str(data_dir.lock.resolve())
    holders = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if any(file.path == lock for file in process.open_files()):
                holders.append(process)
    return holders


def _other_holders(data_dir: DataDir) -> list[psutil.Process]:
    return [holder for holder in _holders(data_dir) if holder.pid != os.getpid()]


def _is_leftover(holder: psutil.Process) -> bool:
    """Tell a killed stack's process, which another session's has adopted, from who waits for the folder or reads it."""
    with suppress(psutil.Error, OSError):
        parent = holder.ppid()
        is_orphan = parent <= 1 or os.getsid(parent) != os.getsid(holder.pid)
        return is_orphan and PACKAGE in " ".join(holder.cmdline())
    return False


def _with_children(parents: list[psutil.Process]) -> list[psutil.Process]:
    found = list(parents)
    for parent in parents:
        with suppress(psutil.NoSuchProcess):
            found += parent.children(recursive=True)
    return found
