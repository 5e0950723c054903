"""The embedded stack: python -m compose.embedded, and one of these:

up                run the stack in the foreground
production        run the processes of production in the foreground
run -- COMMAND…   run a command with fresh servers, which are removed after it
exec -- COMMAND…  run a command with the servers of the stack, which are started if it does not run
restore NAME      put a backup in the place of the database, while the stack does not run
reset             empty the data folder, but for the backups
"""

import os
import signal
import sys
from collections.abc import Mapping, Sequence

import redis

from compose.embedded import data_dir as data_dirs
from compose.embedded.errors import UserError
from compose.embedded.options import ROOT, Options, ProductionOptions
from compose.embedded.processes import SIGNALS, collect_signals, kill_group, signal_at_parent_end, start_process
from compose.embedded.product import LocalTopology
from compose.embedded.production import ProductionTopology
from compose.embedded.servers import reachable_servers, running_servers, throwaway_servers
from compose.embedded.stack import run_stack

STOP_SECONDS = 5
RESTORE = ROOT / "compose" / "production" / "postgres" / "maintenance" / "restore"


def main(arguments: Sequence[str]) -> int | str:
    """Run a command and return its exit code, or the reason why it did not run."""
    # The ordinary way, so that everything that was opened is closed.
    for number in SIGNALS:
        signal.signal(number, _exit)
    if "MAKELEVEL" in os.environ:
        signal_at_parent_end(signal.SIGTERM, os.getppid())
    try:
        return _run(arguments)
    except (UserError, OSError) as reason:
        return f"helpdesk: {reason}"


def _run(arguments: Sequence[str]) -> int:
    match arguments:
        case ["up"]:
            options = Options()
            run_stack(options, LocalTopology(options))
        case ["production"]:
            options = ProductionOptions()
            folder = data_dirs.DataDir(options.data_dir).production
            run_stack(options, ProductionTopology(folder, options.port, flower_port=options.flower_port))
        case ["run", "--", *command] if command:
            with throwaway_servers() as variables:
                return run_command(command, variables)
        case ["exec", "--", *command] if command:
            with reachable_servers(Options()) as variables:
                return run_command(command, variables)
        case ["restore", name]:
            return _restore(Options(), name)
        case ["reset"]:
            path = Options().data_dir
            print(f"Emptied {path}." if data_dirs.reset(path) else f"There is nothing in {path}.")
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


def _restore(options: Options, name: str) -> int:
    with data_dirs.claim(options.data_dir) as data_dir, running_servers(data_dir, options) as servers:
        code = run_command([str(RESTORE), name], servers.variables)
        if code == 0 and options.redis_url:
            print("helpdesk: Empty the Redis that REDIS_URL names: it holds lists of what was there before.")
        elif code == 0:
            with redis.Redis.from_url(servers.variables["REDIS_URL"]) as client:
                client.flushall()
        return code


def run_command(command: Sequence[str], variables: Mapping[str, str]) -> int:
    """Run the command in the foreground and return its exit code, 128 and more for a signal, as a shell does.

    On a terminal the command shares our group, so that Ctrl-C reaches both and it can read the keyboard. Elsewhere it
    gets a session of its own, and what is left of that in the end is killed.
    """
    on_terminal = sys.stdin.isatty()
    # Before the command starts: a signal that ended us just after its start would leave it behind.
    early = collect_signals()
    process = start_process(command, leads=not on_terminal, env={**os.environ, **variables})

    def forward(number: int, _: object) -> None:
        if not (on_terminal and number == signal.SIGINT):
            process.send_signal(number)
        if number != signal.SIGINT:
            signal.alarm(STOP_SECONDS)

    signal.signal(signal.SIGALRM, lambda *_: process.kill())
    for number in SIGNALS:
        signal.signal(number, forward)
    for came in early:
        forward(came, None)
    code = process.wait()
    if not on_terminal:
        kill_group(process.pid)
    return code if code >= 0 else 128 - code


def _exit(number: int, _: object) -> None:
    for later in SIGNALS:
        signal.signal(later, signal.SIG_IGN)
    sys.exit(128 + number)
