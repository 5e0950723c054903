"""The embedded stack: python -m compose.embedded, and one of these:

up                run the stack in the foreground
production        run the topology of production in the foreground
run -- COMMAND…   run a command with fresh servers, which are removed after it
exec -- COMMAND…  run a command with the servers of the stack, which are started if it does not run
backup            back up the database of the stack
backups           list the backups
restore NAME      put a backup in the place of the database
reset             empty the data folder, but for the backups
"""

import signal
import sys
from collections.abc import Sequence

from compose.embedded import data_dir as data_dirs
from compose.embedded.backups import back_up, list_backups, restore
from compose.embedded.command import run_command
from compose.embedded.errors import Refusal
from compose.embedded.options import read_options, read_production_options
from compose.embedded.production import run_production
from compose.embedded.servers import reachable_servers, throwaway_servers
from compose.embedded.stack import run_stack


def main(arguments: Sequence[str]) -> int | str:
    """Run a command and return its exit code, or the reason why it did not run."""
    _exit_on_signals()
    try:
        return _run(arguments)
    except (Refusal, OSError) as reason:
        return f"helpdesk: {reason}"


def _run(arguments: Sequence[str]) -> int:
    match arguments:
        case ["up"]:
            run_stack(read_options())
            return 0
        case ["production"]:
            run_production(read_production_options())
            return 0
        case ["run", "--", *command] if command:
            with throwaway_servers() as variables:
                return run_command(command, variables)
        case ["exec", "--", *command] if command:
            with reachable_servers(read_options()) as variables:
                return run_command(command, variables)
        case ["backup"]:
            return back_up(read_options())
        case ["backups"]:
            return list_backups(read_options())
        case ["restore", name]:
            return restore(read_options(), name)
        case ["reset"]:
            return _reset()
    print(__doc__, file=sys.stderr)
    return 2


def _reset() -> int:
    path = read_options().data_dir
    print(f"Emptied {path}." if data_dirs.reset(path) else f"There is nothing in {path}.")
    return 0


def _exit_on_signals() -> None:
    """Have signals end this process the ordinary way, so that everything it has opened is closed."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _exit)


def _exit(number: int, _: object) -> None:
    for later in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(later, signal.SIG_IGN)
    sys.exit(128 + number)
