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
    early: list[int] = []
    process: subprocess.Popen[bytes] | None = None

    def forward(number: int, _: object) -> None:
        if process is None:
            early.append(number)
            return
        if not (on_terminal and number == signal.SIGINT):
            process.send_signal(number)
        if number != signal.SIGINT:
            signal.alarm(STOP_SECONDS)

    # Before there is a command: a signal that ended us just after its start would leave it behind.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, forward)
    process = subprocess.Popen(command, env={**os.environ, **variables}, process_group=None if on_terminal else 0)
    signal.signal(signal.SIGALRM, lambda *_: process.kill())
    for came in early:
        forward(came, None)
    code = process.wait()
    if not on_terminal:
        kill_group(process.pid)
    return code if code >= 0 else 128 - code
