"""The processes of the product, which are the start scripts of the images, and the addresses of its pages."""

import os
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

from compose.embedded.data_dir import DataDir
from compose.embedded.errors import UserError
from compose.embedded.options import ROOT, Options
from compose.embedded.ports import LOOPBACK
from compose.embedded.processes import Server
from helpdesk.demo import PASSWORD

BIN = Path(sys.executable).parent
LOCAL_SCRIPTS = ROOT / "compose" / "local" / "django"
MAILDEV = ROOT / "compose" / "embedded" / "node_modules" / "maildev" / "dist" / "bin" / "maildev.js"
KEPT_MAILS = 1_000
ANSWER_SECONDS = 60
POLL_SECONDS = 0.2


def script(path: Path, **variables: object) -> list[str]:
    """Return the command line of a start script that listens, if it does, on the loopback interface."""
    return ["env", f"BIND={LOOPBACK}", *(f"{name}={value}" for name, value in variables.items()), str(path)]


def common_environment(variables: Mapping[str, str]) -> dict[str, str]:
    return {
        **os.environ,
        **variables,
        "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PYTHONUNBUFFERED": "1",
        # Where everything runs as root, as in a container of a CI.
        "PYTHONWARNINGS": "ignore:You're running the worker",
    }


def local_commands(options: Options, data_dir: DataDir) -> dict[str, list[str]]:
    """Return the command lines of `make up` by the names that their log lines carry."""
    return {
        "web": script(LOCAL_SCRIPTS / "start", PORT=options.port),
        "announcer": script(LOCAL_SCRIPTS / "announcer" / "start"),
        "worker": script(LOCAL_SCRIPTS / "celery" / "worker" / "start"),
        "beat": script(LOCAL_SCRIPTS / "celery" / "beat" / "start", BEAT_SCHEDULE=data_dir.beat_schedule),
        "flower": script(LOCAL_SCRIPTS / "celery" / "flower" / "start", PORT=options.flower_port),
    }


def log_commands(servers: list[Server]) -> dict[str, list[str]]:
    """Return commands that show what the servers log from now on, and end (on Linux) when the servers do."""
    follow = {server.name: ["tail", "-n", "0", "-f", str(server.log)] for server in servers}
    until_end = {server.name: [f"--pid={server.process.pid}"] for server in servers if sys.platform == "linux"}
    return {name: [*command, *until_end.get(name, [])] for name, command in follow.items()}


def mail_command(options: Options, data_dir: DataDir, *, node: Path, smtp_port: int) -> list[str]:
    return [
        *(str(node), f"--import={ROOT / 'compose' / 'embedded' / 'mail_page.mjs'}", str(MAILDEV)),
        *("--ip", LOOPBACK, "--smtp", str(smtp_port)),
        *("--web-ip", LOOPBACK, "--web", str(options.mail_port)),
        *("--mail-directory", str(data_dir.mail), "--max-emails", str(KEPT_MAILS)),
    ]


def manage(*arguments: str, environment: Mapping[str, str]) -> None:
    """Run a management command, whose output is shown; UserError when it fails."""
    command = [sys.executable, "manage.py", *arguments]
    # In a session of its own, because it would answer Ctrl-C with a trace.
    ended = subprocess.run(command, cwd=ROOT, env=environment, start_new_session=True, check=False)
    if ended.returncode != 0:
        raise UserError(f"`manage.py {' '.join(arguments)}` failed; its output is above.")


def announce_when_ready(text: str, pages: Mapping[str, Callable[[], bool]]) -> None:
    """Wait until all pages answer and print the text, or print which ones do not."""
    deadline = time.monotonic() + ANSWER_SECONDS
    while pages := {name: answers for name, answers in pages.items() if not answers()}:
        if time.monotonic() > deadline:
            print(f"Still no answer after {ANSWER_SECONDS} s from: {', '.join(pages)}.", flush=True)
            return
        time.sleep(POLL_SECONDS)
    print(text, flush=True)


def announcement(site: str, options: Options) -> str:
    return f"""
The helpdesk is running; Ctrl-C stops all of it.

  Home        {site}/
  API         {site}/api/
  Swagger     {site}/api/docs/
  Admin       {site}/admin/
  E-mails     http://localhost:{options.mail_port}/
  Flower      http://localhost:{options.flower_port}/
  Websocket   ws{site.removeprefix("http")}/ws/notifications/?token=<access>

  Logins      agent_1, customer_1, and admin (superuser); the password of each is {PASSWORD}
"""


def page_answers(url: str, *, tls: ssl.SSLContext | None = None) -> bool:
    """Return whether there is any answer."""
    try:
        with urlopen(url, timeout=5, context=tls):
            return True
    except OSError as error:
        return isinstance(error, HTTPError)
