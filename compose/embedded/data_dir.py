"""The folder of a stack: its databases, captured e-mails, secret key and backups."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from compose.embedded import postgres
from compose.embedded.errors import UserError


class DataDir:
    """The places in the folder. Only a folder with a `lock` is a data folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = path / "helpdesk.lock"
        # NAME=value lines that lead to the running servers; exists while they run.
        self.environment = path / "environment"
        self.postgres = path / "postgres"
        self.valkey = path / "valkey"
        self.mail = path / "mail"
        self.beat_schedule = path / "beat-schedule"
        # The proxy's certificates.
        self.production = path / "production"
        self.backups = path / "backups"
        self.secret_key = path / "secret-key"


@contextmanager
def claim(path: Path) -> Iterator[DataDir]:
    """Make the folder if it is missing, and lock it; UserError when another stack has it."""
    data_dir = DataDir(path)
    try:
        _make(data_dir)
        lock = data_dir.lock.open("a+")
    except OSError as error:
        raise UserError(f"The data folder {path} cannot be used ({error.strerror}): set DATA_DIR.") from None
    with lock:
        if not _try_lock(lock.fileno()):
            pid = data_dir.lock.read_text().strip()
            raise UserError(
                f"The data folder {path} is in use by a running stack (pid {pid}): stop it, or set DATA_DIR."
            )
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield data_dir


def is_claimed(path: Path) -> bool:
    """Return whether a stack runs on the folder."""
    lock = DataDir(path).lock
    if not lock.exists():
        return False
    with lock.open() as file:
        return not _try_lock(file.fileno())


def reset(path: Path) -> bool:
    """Empty the folder but for its backups; False when there is nothing to remove."""
    if not DataDir(path).lock.exists():
        return False
    with claim(path) as data_dir:
        postgres.remove(data_dir.postgres)
        for entry in _entries(data_dir):
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    return True


def _make(data_dir: DataDir) -> None:
    path = data_dir.path
    if path.exists() and not data_dir.lock.exists() and _entries(data_dir):
        raise UserError(f"The folder {path} holds other files: set DATA_DIR to an empty or new folder.")
    if not path.exists():
        path.mkdir(parents=True)
        # For root, PostgreSQL runs as another account, which has to pass.
        path.chmod(0o711 if os.geteuid() == 0 else 0o700)
    for folder in (data_dir.valkey, data_dir.mail):
        folder.mkdir(mode=0o700, exist_ok=True)


def _entries(data_dir: DataDir) -> list[Path]:
    return [entry for entry in data_dir.path.iterdir() if entry != data_dir.backups]


def _try_lock(descriptor: int) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False
