"""How the tests read the compose files and the Dockerfiles."""

import re
import shutil
import subprocess

import yaml

from compose.embedded.options import ROOT

LOCAL, PRODUCTION = (ROOT / f"docker-compose.{name}.yml" for name in ("local", "production"))
VARIABLE = re.compile(r"(?<!\$)\$\{\w+:-([^}]*)\}")
SCRIPT = re.compile(r"^COPY --chmod=755 (\S+) (\S+)$", re.MULTILINE)
TOOLS = [["docker", "compose"], ["docker-compose"]]


def read_compose_file(path):
    """Return the content of a compose file where none of its variables is set."""
    return yaml.safe_load(VARIABLE.sub(r"\1", path.read_text()))


def scripts_of(dockerfile):
    """Return the scripts of an image: their paths here by their paths in the image."""
    return {target: ROOT / source for source, target in SCRIPT.findall(dockerfile.read_text())}


def compose_tool():
    """Return the start of a command line of Docker Compose, version 2 or 1; None where neither is installed."""
    return next((tool for tool in TOOLS if works(tool)), None)


def works(tool):
    version = [*tool, "version"]
    return bool(shutil.which(tool[0])) and subprocess.run(version, capture_output=True, check=False).returncode == 0
