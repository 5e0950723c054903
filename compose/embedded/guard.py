"""A small process that cleans up after a stack which was killed before it could do so itself.

It is told what there is to clean up, waits until its parent is gone, and then ends the processes and removes the
folders. A parent that stops in good order ends its guard first. Runs as a script, with the standard library alone.
"""

import os
import select
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

GRACE_SECONDS = 3
POLL_SECONDS = 0.5


class Guard:
    """The parent's side."""

    def __enter__(self) -> Self:
        script = [sys.executable, "-I", "-S", __file__, str(os.getpid())]
        # Its own session keeps Ctrl-C, which is meant for the stack, away from it.
        self._process = subprocess.Popen(script, stdin=subprocess.PIPE, start_new_session=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def will_end(self, pid: int) -> None:
        """Have the process, and its group if it leads one, ended when the parent is gone."""
        self._tell(f"end {pid}\n")

    def will_remove(self, folder: Path) -> None:
        """Have the folder removed when the parent is gone."""
        self._tell(f"remove {folder}\n")

    def _tell(self, line: str) -> None:
        # One unbuffered write: forked copies of the parent speak on the same pipe.
        if self._process.stdin is not None:
            os.write(self._process.stdin.fileno(), line.encode())


def main() -> None:
    parent = int(sys.argv[1])
    pids, folders = _listen(parent)
    _end(pids)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def _listen(parent: int) -> tuple[list[int], list[str]]:
    heard = b""
    while os.getppid() == parent:
        heard += _read(POLL_SECONDS)
    # What was said just before the end; forked copies of the parent may keep the pipe open.
    while said := _read(0):
        heard += said
    orders = [line.partition(" ") for line in heard.decode().splitlines()]
    return (
        [int(what) for verb, _, what in orders if verb == "end"],
        [what for verb, _, what in orders if verb == "remove"],
    )


def _read(seconds: float) -> bytes:
    """Return what is said within the seconds; nothing at all when nobody is left to speak."""
    ready, _, _ = select.select([sys.stdin], [], [], seconds)
    return os.read(sys.stdin.fileno(), 65_536) if ready else b""


def _end(pids: list[int]) -> None:
    for pid in pids:
        _signal(pid, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS
    while any(_signal(pid, 0) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid in pids:
        _signal(pid, signal.SIGKILL)


def _signal(pid: int, number: int) -> bool:
    """Signal the group that a process leads, or the process alone; False when neither exists."""
    for send in (os.killpg, os.kill):
        with suppress(ProcessLookupError):
            send(pid, number)
            return True
    return False


if __name__ == "__main__":
    main()
