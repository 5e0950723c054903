"""The processes of the product, which are the start scripts of the images, and those of `make up`."""

import os
import ssl
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

from compose.embedded.data_dir import DataDir
from compose.embedded.errors import UserError
from compose.embedded.options import ROOT, Options
from compose.embedded.ports import LOOPBACK

BIN = Path(sys.executable).parent
LOCAL_SCRIPTS = ROOT / "compose" / "local" / "django"


class LocalTopology:
    """The processes of `make up`."""

    port_variable = "PORT"
    notes = ""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.url = f"http://localhost:{options.port}"

    def environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        settings = {"DJANGO_SETTINGS_MODULE": "config.settings.local"}
        return {"SITE_URL": self.url} | common_environment(variables) | settings

    def prepare(self, environment: Mapping[str, str]) -> None:
        """Do nothing: Daphne serves the static files from where they are."""

    def commands(self) -> dict[str, list[str]]:
        schedule = DataDir(self.options.data_dir).beat_schedule
        return {
            "web": script(LOCAL_SCRIPTS / "start", PORT=self.options.port),
            "announcer": script(LOCAL_SCRIPTS / "announcer" / "start"),
            "worker": script(LOCAL_SCRIPTS / "celery" / "worker" / "start"),
            "beat": script(LOCAL_SCRIPTS / "celery" / "beat" / "start", BEAT_SCHEDULE=schedule),
            "flower": script(LOCAL_SCRIPTS / "celery" / "flower" / "start", PORT=self.options.flower_port),
        }

    def answers(self) -> bool:
        return page_answers(f"{self.url}/livez")


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


def manage(*arguments: str, environment: Mapping[str, str]) -> None:
    """Run a management command, whose output is shown; UserError when it fails."""
    command = [sys.executable, "manage.py", *arguments]
    # In a session of its own, because it would answer Ctrl-C with a trace.
    ended = subprocess.run(command, cwd=ROOT, env=environment, start_new_session=True, check=False)
    if ended.returncode != 0:
        raise UserError(f"`manage.py {' '.join(arguments)}` failed; its output is above.")


def page_answers(url: str, *, tls: ssl.SSLContext | None = None) -> bool:
    """Return whether there is any answer."""
    try:
        with urlopen(url, timeout=5, context=tls):
            return True
    except OSError as error:
        return isinstance(error, HTTPError)
