"""`make up`: the servers, the database and every process of the product, until Ctrl-C."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from compose.embedded import data_dir as data_dirs
from compose.embedded.announcement import announce_when_ready, announcement, page_answers
from compose.embedded.data_dir import DataDir
from compose.embedded.demo import fill_demo_data
from compose.embedded.errors import Refusal
from compose.embedded.guard import Guard
from compose.embedded.node import find_node
from compose.embedded.options import Options
from compose.embedded.ports import free_port, require_free
from compose.embedded.product import follow_commands, mail_command, manage, product_commands, product_environment
from compose.embedded.progress import step
from compose.embedded.servers import Servers, lasting_servers
from compose.embedded.supervisor import supervise

POLL_SECONDS = 0.3


@dataclass(frozen=True)
class Ground:
    """What the processes of the product stand on."""

    options: Options
    data_dir: DataDir
    servers: Servers
    guard: Guard
    mail_command: list[str]
    smtp_port: int


def run_stack(options: Options) -> None:
    """Run all of it in the foreground; a process that ends by itself is a refusal that names it."""
    with prepared_ground(options, {"PORT": options.port}) as ground:
        environment = product_environment(ground.servers.variables, options, smtp_port=ground.smtp_port)
        fill_database(ground, environment)
        text = announcement(f"http://localhost:{options.port}", options)
        commands = product_commands(options, ground.data_dir)
        run_product(ground, commands, environment, text, lambda: page_answers(options.port, "/livez"))


@contextmanager
def prepared_ground(options: Options, ports: dict[str, int], *, command: str = "make up") -> Iterator[Ground]:
    """Claim the data folder and the ports, and run the servers."""
    node = find_node()
    if node is None:
        raise Refusal(f"There is no Node: run `{command}`, which installs one.")
    ports |= {"MAIL_PORT": options.mail_port, "FLOWER_PORT": options.flower_port}
    ports |= {"EMAIL_PORT": options.smtp_port} if options.smtp_port else {}
    with data_dirs.claim(options.data_dir) as data_dir:
        require_free(ports, command=command)
        smtp_port = options.smtp_port or free_port()
        mail = mail_command(options, data_dir, node=node, smtp_port=smtp_port)
        with Guard() as guard, lasting_servers(data_dir, options, guard) as servers:
            yield Ground(options, data_dir, servers, guard, mail, smtp_port)


def fill_database(ground: Ground, environment: Mapping[str, str]) -> None:
    with step("Migrate the database"):
        manage("migrate", "--verbosity=0", environment=environment)
    fill_demo_data(ground.data_dir, ground.options, environment)


def run_product(
    ground: Ground,
    commands: Mapping[str, list[str]],
    environment: Mapping[str, str],
    text: str,
    web_answers: Callable[[], bool],
) -> None:
    """Run the commands beside servers and mail until Ctrl-C; print the text once everything answers."""
    options = ground.options
    pages = {
        "web": web_answers,
        "mail": lambda: page_answers(options.mail_port),
        "flower": lambda: page_answers(options.flower_port),
    }

    def on_start() -> None:
        announce_when_ready(text, pages)
        _stop_with_make()

    # The terminal was closed.
    signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    reason = supervise(
        {**follow_commands(ground.servers.running), **commands, "mail": ground.mail_command},
        environment=environment,
        guard=ground.guard,
        on_start=on_start,
    )
    if reason is not None:
        raise Refusal(f"The stack was stopped because {reason}; its last words are above.")


def _stop_with_make() -> None:
    """Stop when make, our parent, is killed, or is interrupted alone: it then waits for us and says nothing."""
    make = os.getppid()
    if "MAKELEVEL" not in os.environ:
        return
    # Make lets go of the signal when it takes it, and has never caught it where it runs in the background of a script.
    catches_interrupt = _catches_interrupt(make)
    while os.getppid() == make and _catches_interrupt(make) == catches_interrupt:
        time.sleep(POLL_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)


def _catches_interrupt(pid: int) -> bool:
    """Tell, where the system is Linux and knows, whether a process has a handler for SIGINT."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGINT - 1) & 1)
