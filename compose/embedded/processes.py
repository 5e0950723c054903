"""Child processes: how they are started and stopped, and how they end with their parent."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from compose.embedded.errors import UserError
from compose.embedded.ports import free_port

LAST_LINES = 5
LEFTOVER_SECONDS = 5.0
START_ATTEMPTS = 3
START_SECONDS = 60
PR_SET_PDEATHSIG = 1  # prctl(2)
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LIBC = ctypes.CDLL(None)
Steps = Sequence[tuple[signal.Signals, float]]


@dataclass(frozen=True)
class Server:
    """A running server of the stack."""

    name: str
    url: str
    process: subprocess.Popen[bytes]
    log: Path


def start_process(
    command: Sequence[str], *, end_signal: int = signal.SIGTERM, leads: bool = True, **options: Any
) -> subprocess.Popen[bytes]:
    """Start a process, which gets the signal when this process (or thread) ends without stopping it.

    It leads a session of its own, or shares ours.
    """
    at_parent_end = partial(signal_at_parent_end, end_signal, os.getpid())
    return subprocess.Popen(command, preexec_fn=at_parent_end, start_new_session=leads, **options)  # noqa: PLW1509


def signal_at_parent_end(number: int, parent: int) -> None:
    """Have the kernel send this process a signal when its parent ends, however it ends. Only Linux can."""
    if sys.platform == "linux":
        LIBC.prctl(PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:
            os.kill(os.getpid(), number)


def collect_signals() -> list[int]:
    """Have the signals that ask this process to end put into the returned list, instead of ending it."""
    collected: list[int] = []
    for number in SIGNALS:
        signal.signal(number, lambda number, _: collected.append(number))
    return collected


@contextmanager
def running_server(
    name: str,
    command: Callable[[int], Sequence[str]],
    url: Callable[[int], str],
    answers: Callable[[str], bool],
    *,
    log: Path,
    steps: Steps,
    port: int | None = None,
    **options: Any,
) -> Iterator[Server]:
    """Run a server on a port, by preference the given one, and yield it when it answers; UserError when it never does.

    It is tried more than once, because another program may take the port meanwhile.
    """
    for _ in range(START_ATTEMPTS):
        port = free_port(preferred=port)
        with log.open("wb") as output:
            logged: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": subprocess.STDOUT}
            process = start_process(command(port), end_signal=steps[0][0], **logged, **options)
        try:
            if _wait_until_it_answers(process, partial(answers, url(port))):
                yield Server(name, url(port), process, log)
                return
        finally:
            stop(process, steps)
    last_lines = " | ".join(log.read_text(errors="replace").splitlines()[-LAST_LINES:])
    raise UserError(f"{name} does not start (`make reset` empties the data folder): {last_lines}")


def _wait_until_it_answers(process: subprocess.Popen[bytes], answers: Callable[[], bool]) -> bool:
    """Return whether the process answers before it ends, within START_SECONDS."""
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if answers():
            return True
        time.sleep(0.05)
    return False


def stop(process: subprocess.Popen[bytes], steps: Steps) -> None:
    """Send each signal in turn and wait its seconds, then kill what is left of the group."""
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


def end_leftovers(folder: Path, name: str, *, with_signal: int = signal.SIGTERM) -> None:
    """End the processes of a program in a working directory, which a killed stack has left there."""
    found = [
        process
        for process in psutil.process_iter(["name", "cwd"])
        if process.info["name"] == name and process.info["cwd"] == str(folder.resolve())
    ]
    for process in found:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(with_signal)
    for process in psutil.wait_procs(found, timeout=LEFTOVER_SECONDS)[1]:
        with suppress(psutil.NoSuchProcess):
            process.kill()
