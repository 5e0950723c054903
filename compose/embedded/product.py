"""The product's own processes and commands, and the environment they run in."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from compose.embedded.data_dir import DataDir
from compose.embedded.errors import Refusal
from compose.embedded.options import ROOT, Options
from compose.embedded.ports import LOOPBACK
from compose.embedded.processes import Server

WORKER_PROCESSES = 2
KEPT_MAILS = 1_000


def product_environment(variables: Mapping[str, str], options: Options, *, smtp_port: int) -> dict[str, str]:
    return {
        "SITE_URL": f"http://localhost:{options.port}",
        **os.environ,
        **variables,
        "DJANGO_SETTINGS_MODULE": "config.settings.local",
        "EMAIL_HOST": LOOPBACK,
        "EMAIL_PORT": str(smtp_port),
        "PYTHONUNBUFFERED": "1",
    }


def product_commands(options: Options, data_dir: DataDir) -> dict[str, list[str]]:
    """Return the command line of every process, by the name that its log lines carry."""
    python = sys.executable
    reloaded = [python, "-m", "compose.embedded.reload"]
    # In a container everything runs as root; Celery's warning is about another kind of message than ours.
    celery = [python, "-W", "ignore:You're running the worker", "-m", "celery", "--app", "config", "--quiet"]
    return {
        "web": [*reloaded, python, "-m", "daphne", *daphne_options(options)],
        "announcer": [*reloaded, python, "manage.py", "announce_events"],
        "worker": [*reloaded, *celery, "worker", *_worker_options()],
        "beat": [*celery, "beat", "--schedule", str(data_dir.celery / "beat-schedule"), "--pidfile="],
        "flower": [*celery, "flower", f"--address={LOOPBACK}", f"--port={options.flower_port}"],
    }


def daphne_options(options: Options) -> list[str]:
    # Without its access log, which has tokens in it; the product writes its own.
    return ["-v", "0", "-b", LOOPBACK, "-p", str(options.port), "config.asgi:application"]


def follow_commands(servers: list[Server]) -> dict[str, list[str]]:
    """Return commands that show the servers' logs and end with the servers."""
    follow = [sys.executable, "-m", "compose.embedded.follow"]
    return {server.name: [*follow, str(server.process.pid), str(server.log)] for server in servers}


def manage(*arguments: str, environment: Mapping[str, str]) -> None:
    """Run a management command; its output is the person's to see."""
    command = [sys.executable, "manage.py", *arguments]
    # Its own session: Ctrl-C is ours to answer, and a command would answer it with a trace.
    ended = subprocess.run(command, cwd=ROOT, env=environment, start_new_session=True, check=False)
    if ended.returncode != 0:
        raise Refusal(f"`manage.py {' '.join(arguments)}` failed; its output is above.")


def _worker_options() -> list[str]:
    # A worker that is alone has nobody to gossip or mingle with, and is up a second earlier.
    alone = ["--without-gossip", "--without-mingle"]
    return ["--concurrency", str(WORKER_PROCESSES), "--loglevel", "INFO", *alone]


def mail_command(options: Options, data_dir: DataDir, *, node: Path, smtp_port: int) -> list[str]:
    programs = ROOT / "compose" / "embedded"
    return [
        str(node),
        f"--import={programs / 'mail_page.mjs'}",
        str(programs / "node_modules" / "maildev" / "dist" / "bin" / "maildev.js"),
        *("--ip", LOOPBACK, "--smtp", str(smtp_port)),
        *("--web-ip", LOOPBACK, "--web", str(options.mail_port)),
        *("--mail-directory", str(data_dir.mail), "--max-emails", str(KEPT_MAILS)),
    ]
