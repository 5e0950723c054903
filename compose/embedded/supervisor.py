"""Runs the processes of a stack until one of them ends or a signal comes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle, repeat
from threading import Thread

from compose.embedded.options import ROOT
from compose.embedded.processes import Server, collect_signals, start_process, stop

STOP_STEPS = [(signal.SIGTERM, 2.0)]
POLL_SECONDS = 0.1
COLOURS = range(31, 37)  # ECMA-48
Processes = dict[str, subprocess.Popen[bytes]]


def supervise(
    commands: Mapping[str, list[str]],
    environment: Mapping[str, str],
    *,
    beside: Callable[[], None],
    servers: Sequence[Server] = (),
) -> bool:
    """Run the commands, and a function in a thread beside them; return whether a signal ended them.

    The end of one of the servers, which run already, ends them too; what the servers log from now on is shown.
    """
    signals = collect_signals()
    logs = {server.name: ["tail", "-n", "0", "-f", str(server.log)] for server in servers}
    with _running(logs | dict(commands), environment) as processes:
        watched = processes | {server.name: server.process for server in servers}
        for name, process in watched.items():
            print(f"{name} started (pid={process.pid})", flush=True)
        printers = _printers(processes)
        for thread in (*printers, Thread(target=beside, daemon=True)):
            thread.start()
        ended: list[str] = []
        while not (signals or ended):
            time.sleep(POLL_SECONDS)
            ended = [name for name, process in watched.items() if process.poll() is not None]
    for printer in printers:
        printer.join(POLL_SECONDS)
    for name in ended:
        print(f"{name} stopped (rc={watched[name].returncode})", flush=True)
    return bool(signals)


@contextmanager
def _running(commands: Mapping[str, list[str]], environment: Mapping[str, str]) -> Iterator[Processes]:
    """Run each command in a group of its own; in the end stop all of them at once."""
    processes: Processes = {}
    try:
        for name, command in commands.items():
            processes[name] = start_process(
                command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
        yield processes
    finally:
        with ThreadPoolExecutor(len(commands)) as pool:
            pool.map(stop, processes.values(), repeat(STOP_STEPS))


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
