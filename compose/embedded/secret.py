"""Secrets that are made once and kept in a file which only its owner may read."""

import secrets
from pathlib import Path


def read_or_make(file: Path) -> str:
    if not file.exists():
        write(file, secrets.token_urlsafe(50))
    return file.read_text()


def write(file: Path, content: str) -> None:
    """Write a file, or replace it, in one step."""
    new = file.with_suffix(".new")
    new.unlink(missing_ok=True)
    new.touch(mode=0o600, exist_ok=False)
    new.write_text(content)
    new.rename(file)
