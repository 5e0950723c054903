"""A process group of the product that can be killed, stopped, suspended and started again."""

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from compose.embedded.options import ROOT
from compose.embedded.processes import kill_group, start_process
from helpdesk.testing import wait_until

TIMEOUT_SECONDS = 60.0


class Program:
    """Runs one command, at most one process group at a time; its output is appended to a log file in the folder."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        folder: Path,
        environment: Mapping[str, str],
        is_ready: Callable[[], object],
    ) -> None:
        self.name = name
        self.command = command
        self.log = folder / f"{name}.log"
        self.environment = environment
        self.is_ready = is_ready
        self.process: subprocess.Popen[bytes] | None = None
        self.log_offset = 0

    @property
    def pid(self) -> int:
        if self.process is None:
            raise AssertionError(f"{self.name} was never started")
        return self.process.pid

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def launch(self) -> None:
        """Start it without waiting until it is ready."""
        with self.log.open("ab") as log:
            self.log_offset = log.tell()
            self.process = start_process(
                self.command,
                end_signal=signal.SIGKILL,
                cwd=ROOT,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def output(self) -> str:
        """Return the output since the last start."""
        with self.log.open("rb") as log:
            log.seek(self.log_offset)
            return log.read().decode(errors="replace")

    def start(self) -> None:
        self.launch()
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        wait_until(lambda: not self.is_running() or self.is_ready(), what=f"{self.name} is ready")
        if not self.is_running():
            raise AssertionError(f"{self.name} has ended:\n{self.output()[-3000:]}")

    def signal(self, number: int) -> None:
        """Send a signal to the whole process group."""
        os.killpg(self.pid, number)

    def kill(self) -> None:
        kill_group(self.pid)
        self.wait()

    def stop(self) -> None:
        """Send SIGTERM, as a supervisor does, and wait until the process has ended."""
        if self.is_running():
            os.kill(self.pid, signal.SIGTERM)
        self.wait()
        kill_group(self.pid)

    def wait(self) -> None:
        if self.process is not None:
            self.process.wait(TIMEOUT_SECONDS)

    def restart(self) -> None:
        self.kill()
        self.start()
