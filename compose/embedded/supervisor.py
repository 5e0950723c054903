"""Runs the processes of a stack under honcho, until one of them ends or a signal comes."""

# mypy: allow-untyped-calls

import multiprocessing
import os
import shlex
import signal
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

import honcho.compat
import honcho.manager
import honcho.process

from compose.embedded.options import ROOT
from compose.embedded.processes import kill_group, signal_at_parent_end

KILL_SECONDS = 2


def supervise(commands: Mapping[str, list[str]], environment: Mapping[str, str], beside: Callable[[], None]) -> bool:
    """Run the commands, and a function in a process beside them; return whether a signal ended them."""
    # As honcho needs it where its processes get objects of ours.
    multiprocessing.set_start_method("fork", force=True)
    multiprocessing.Process(target=_end_with_parent, args=[beside, os.getpid()], daemon=True).start()
    honcho.manager.KILL_WAIT = KILL_SECONDS
    manager = honcho.manager.Manager()
    # Of these two there is no public form.
    manager._procmgr = Leaders()  # noqa: SLF001
    for name, command in commands.items():
        process = manager.add_process(name, f"exec {shlex.join(command)}", env=dict(environment), cwd=str(ROOT))
        process._child_ctor = partial(Command, grandparent=os.getpid())  # noqa: SLF001
    try:
        # honcho raises KeyError when a signal comes before every process has started.
        with suppress(KeyError):
            manager.loop()
    finally:
        for state in manager._processes.values():  # noqa: SLF001
            if "pid" in state:
                kill_group(state["pid"])
            if "process" in state:
                state["process"].kill()
    return manager.returncode in {128 + signal.SIGINT, 128 + signal.SIGTERM}


class Leaders(honcho.compat.ProcessManager):
    """Asks only the leader of each group to stop: it then stops the others in order."""

    def terminate(self, pid: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)


class Command(honcho.process.Popen):
    """A command that is asked to stop when honcho's process for it, our child, is killed with us; its group ends with it.

    honcho sees its end when its output ends, which what it has started would keep open.
    """

    def __init__(self, command: str, *, grandparent: int, **options: object) -> None:
        signal_at_parent_end(signal.SIGKILL, grandparent)
        super().__init__(command, preexec_fn=partial(signal_at_parent_end, signal.SIGTERM, os.getpid()), **options)
        threading.Thread(target=self._end_group, daemon=True).start()

    def _end_group(self) -> None:
        self.wait()
        kill_group(self.pid)


def _end_with_parent(function: Callable[[], None], parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal_at_parent_end(signal.SIGKILL, parent)
    function()
