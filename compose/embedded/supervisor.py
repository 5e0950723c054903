"""Runs the processes of a stack until one of them ends or a signal comes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import cycle
from threading import Thread

from compose.embedded.options import ROOT
from compose.embedded.processes import collect_signals, start_process, stop

KILL_SECONDS = 2
POLL_SECONDS = 0.1
COLOURS = range(31, 37)  # ECMA-48
Processes = dict[str, subprocess.Popen[bytes]]


def supervise(commands: Mapping[str, list[str]], environment: Mapping[str, str], beside: Callable[[], None]) -> bool:
    """Run the commands, and a function in a thread beside them; return whether a signal ended them."""
    signals = collect_signals()
    ended: list[str] = []
    with _running(commands, environment) as processes:
        printers = _printers(processes)
        for thread in (*printers, Thread(target=beside, daemon=True)):
            thread.start()
        while not (signals or ended):
            time.sleep(POLL_SECONDS)
            ended = [name for name, process in processes.items() if process.poll() is not None]
    for printer in printers:
        printer.join(POLL_SECONDS)
    for name in ended:
        print(f"{name} stopped (rc={processes[name].returncode})", flush=True)
    return bool(signals)


@contextmanager
def _running(commands: Mapping[str, list[str]], environment: Mapping[str, str]) -> Iterator[Processes]:
    """Run each command in a group of its own; in the end ask the leaders to stop, and kill what is left of the groups."""
    processes: Processes = {}
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    try:
        for name, command in commands.items():
            processes[name] = start_process(command, cwd=ROOT, env=environment, **output)
            print(f"{name} started (pid={processes[name].pid})", flush=True)
        yield processes
    finally:
        for process in processes.values():
            process.terminate()
        deadline = time.monotonic() + KILL_SECONDS
        for process in processes.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(deadline - time.monotonic())
            stop(process, [])


def _printers(processes: Processes) -> list[Thread]:
    """Return a thread for each process that prints its lines after its name, which has a colour on a terminal."""
    width = max(len(name) for name in processes)
    prefixes = [f"{name:{width}} | " for name in processes]
    if sys.stdout.isatty():
        prefixes = [f"\033[{colour}m{prefix}\033[0m" for prefix, colour in zip(prefixes, cycle(COLOURS), strict=False)]
    pairs = zip(processes.values(), prefixes, strict=True)
    return [Thread(target=_print_lines, args=pair, daemon=True) for pair in pairs]


def _print_lines(process: subprocess.Popen[bytes], prefix: str) -> None:
    """Copy the lines of a process, each in one piece, since others are printed meanwhile."""
    try:
        for line in process.stdout or ():
            start = f"{time.strftime('%H:%M:%S')} {prefix}".encode()
            sys.stdout.buffer.write(start + line.rstrip() + b"\n")
            sys.stdout.buffer.flush()
    except OSError:
        # Nobody reads our output any more, as when the terminal is closed.
        os.kill(os.getpid(), signal.SIGHUP)
