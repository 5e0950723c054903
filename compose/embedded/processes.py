"""Servers as child processes: how they are watched and stopped, and what they said last."""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

LAST_LINES = 5
LEFTOVER_SECONDS = 3.0


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


def lives(process: psutil.Process) -> bool:
    """Tell whether a process runs; one that only waits to be noticed by its parent does not."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def kill_survivors(processes: Sequence[psutil.Process], *, after_seconds: float) -> None:
    """Give processes that were asked to end the seconds to do so."""
    deadline = time.monotonic() + after_seconds
    while any(lives(process) for process in processes) and time.monotonic() < deadline:
        time.sleep(0.05)
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def end_leftovers(processes: Sequence[psutil.Process], *, with_signal: int = signal.SIGTERM) -> None:
    """End what a killed stack has left running."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(with_signal)
    kill_survivors(processes, after_seconds=LEFTOVER_SECONDS)


def processes_in(folder: Path, name: str) -> list[psutil.Process]:
    """Return the processes of a program whose working directory is the folder."""
    return [
        process
        for process in psutil.process_iter(["name", "cwd"])
        if process.info["name"] == name and process.info["cwd"] == str(folder.resolve())
    ]


def last_lines(log: Path) -> str:
    return " | ".join(log.read_text(errors="replace").splitlines()[-LAST_LINES:])
