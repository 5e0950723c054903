"""Runs the processes of the stack together under honcho, and sees that none outlives them."""

# mypy: allow-untyped-calls

import multiprocessing
import os
import shlex
import signal
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import honcho.compat
import honcho.manager
import honcho.process

from compose.embedded.guard import Guard
from compose.embedded.options import ROOT
from compose.embedded.processes import kill_group

KILL_SECONDS = 3


def supervise(
    commands: Mapping[str, list[str]],
    *,
    environment: Mapping[str, str],
    guard: Guard,
    on_start: Callable[[], None],
) -> str | None:
    """Run the commands until one ends or a signal comes; return why it was over, None when it was asked for."""
    # The commands' leaders and the guard are shared with honcho's helpers, which only a fork can do.
    multiprocessing.set_start_method("fork", force=True)
    honcho.manager.KILL_WAIT = KILL_SECONDS
    supervisor = Supervisor(on_start)
    for name, command in commands.items():
        process = supervisor.add_process(name, f"exec {shlex.join(command)}", env=dict(environment), cwd=str(ROOT))
        process._child_ctor = partial(Leader, guard=guard)  # noqa: SLF001 -- honcho offers no other way
    try:
        supervisor.loop()
    finally:
        supervisor.kill_leftovers()
    return supervisor.reason


class Leader(honcho.process.Popen):
    """A command that leads a group of processes; when it ends, the group ends."""

    def __init__(self, command: str, *, guard: Guard, **options: Any) -> None:
        super().__init__(command, **options)
        guard.will_end(self.pid)
        guard.will_end(os.getpid())
        threading.Thread(target=self._end_group, daemon=True).start()

    def _end_group(self) -> None:
        self.wait()
        kill_group(self.pid)


class LeaderSignals(honcho.compat.ProcessManager):
    """Asks leaders alone to stop, so that each stops its group in its own good order; kills whole groups."""

    def terminate(self, pid: int) -> None:
        try:
            os.kill(pid, signal.SIGTERM)
        except ProcessLookupError:
            return

    def kill(self, pid: int) -> None:
        kill_group(pid)


class Supervisor(honcho.manager.Manager):
    """honcho's manager that knows why it ended and leaves nothing behind."""

    def __init__(self, on_start: Callable[[], None]) -> None:
        super().__init__()
        self._procmgr = LeaderSignals()
        self._on_start = on_start
        self._is_asked_to_stop = False
        self.reason: str | None = None

    def terminate(self) -> None:
        # A signal can come before every process has its number, and honcho stops only those that have one.
        self._is_asked_to_stop = True
        if super()._all_started() and not self._terminating:
            self.reason = self._first_end()
            super().terminate()

    def kill_leftovers(self) -> None:
        for process in self._processes.values():
            if "pid" in process:
                kill_group(process["pid"])
            if "process" in process:
                process["process"].kill()

    def _start(self) -> None:
        super()._start()
        # honcho forks its helpers, and a fork does not go well with threads that run already.
        threading.Thread(target=self._on_start, daemon=True).start()

    def _all_started(self) -> bool:
        all_started = bool(super()._all_started())
        if all_started and self._is_asked_to_stop:
            self.terminate()
        return all_started

    def _first_end(self) -> str | None:
        for name, process in self._processes.items():
            code = process.get("returncode")
            if code is not None:
                return f"{name} ended ({_described(code)})"
        return None


def _described(code: int) -> str:
    """Name the signal in an exit code, of the process itself or, as a shell passes it on, of its child."""
    number = -code if code < 0 else code - 128
    return f"killed by {signal.Signals(number).name}" if number in set(signal.Signals) else f"exit code {code}"
