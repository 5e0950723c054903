"""Servers as child processes: how they are watched and stopped, and what they said last."""

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

LAST_LINES = 5


@dataclass(frozen=True)
class Server:
    """A running server of the stack."""

    name: str
    url: str
    process: subprocess.Popen[bytes]
    log: Path


def stop(process: subprocess.Popen[bytes], steps: Sequence[tuple[signal.Signals, float]]) -> None:
    """Send each signal in turn and give it its seconds; whatever is left of the group in the end is killed."""
    for number, seconds in steps:
        with suppress(subprocess.TimeoutExpired):
            if process.poll() is None:
                process.send_signal(number)
            process.wait(seconds)
            break
    kill_group(process.pid)
    process.wait()


def kill_group(leader: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def last_lines(log: Path) -> str:
    return " | ".join(log.read_text(errors="replace").splitlines()[-LAST_LINES:])
