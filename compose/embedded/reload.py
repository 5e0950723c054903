"""Runs a command and starts it anew when the code changes.

Called as python -m compose.embedded.reload COMMAND ARGUMENT ... A command that dies at once, or is killed, ends the
whole; one that ends after a change, which is what a syntax error looks like, waits for the next change.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress

import psutil
from watchfiles import PythonFilter, watch

from compose.embedded.options import ROOT
from compose.embedded.processes import kill_survivors

FOLDERS = [ROOT / "config", ROOT / "helpdesk"]
STOP_SECONDS = 2.3
POLL_MILLISECONDS = 300


def main(command: Sequence[str]) -> int:
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    child = subprocess.Popen(command)
    try:
        return _supervise(command, child, stopping)
    finally:
        _stop_descendants()


def _supervise(command: Sequence[str], child: subprocess.Popen[bytes], stopping: threading.Event) -> int:
    is_first = True
    waits = False
    for changes in watch(
        *FOLDERS,
        watch_filter=PythonFilter(extra_extensions=(".html", ".txt")),
        stop_event=stopping,
        rust_timeout=POLL_MILLISECONDS,
        yield_on_timeout=True,
    ):
        if changes:
            print(f"restarts: {', '.join(sorted(os.path.relpath(path, ROOT) for _, path in changes))}", flush=True)
            _stop_descendants()
            child.wait()
            child = subprocess.Popen(command)
            is_first, waits = False, False
        elif child.poll() is not None and not waits:
            if is_first or child.returncode < 0:
                return child.returncode if child.returncode >= 0 else 128 - child.returncode
            print(f"ended with code {child.returncode}; waits for the next change", flush=True)
            waits = True
    return 0


def _stop_descendants() -> None:
    """End the command, and also the processes that it has started if it does not end them in time."""
    descendants = psutil.Process().children(recursive=True)
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):
            child.terminate()
    kill_survivors(descendants, after_seconds=STOP_SECONDS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
