"""Runs one command with servers at hand."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence

from compose.embedded.processes import kill_group

STOP_SECONDS = 5


def run_command(command: Sequence[str], variables: Mapping[str, str]) -> int:
    """Run the command and return its exit code, 128 and more for a signal, as a shell does.

    On a terminal the command shares our group, so that Ctrl-C reaches both and it can read the keyboard. Elsewhere it
    gets a group of its own, and what is left of that in the end is killed.
    """
    on_terminal = sys.stdin.isatty()
    # Ours are back before the command starts, or it could not be interrupted.
    process = subprocess.Popen(command, env={**os.environ, **variables}, process_group=None if on_terminal else 0)

    def forward(number: int, _: object) -> None:
        if not (on_terminal and number == signal.SIGINT):
            process.send_signal(number)
        if number != signal.SIGINT:
            signal.alarm(STOP_SECONDS)

    signal.signal(signal.SIGALRM, lambda *_: process.kill())

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, forward)
    code = process.wait()
    if not on_terminal:
        kill_group(process.pid)
    return code if code >= 0 else 128 - code
