"""Secrets that are made once and kept in a file which only its owner may read."""

import os
import secrets
from pathlib import Path


def read_or_make(file: Path) -> str:
    if not file.exists():
        new = file.with_suffix(".new")
        new.unlink(missing_ok=True)
        write(new, secrets.token_urlsafe(50))
        new.rename(file)
    return file.read_text()


def write(file: Path, content: str) -> None:
    """Write a file that does not exist yet."""
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as handle:
        handle.write(content)
