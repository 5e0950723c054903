"""Tells whether the compose files keep the compose specification, and what Docker's own tool says where there is one."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from compose_spec import PyCompose

from compose.embedded.options import ROOT

COMPOSE_FILES = [ROOT / f"docker-compose.{name}.yml" for name in ("local", "production")]
VARIABLE = re.compile(r"(?<!\$)\$\{\w+:-([^}]*)\}")
TOOLS = [["docker", "compose"], ["docker-compose"]]


def main() -> int:
    faults = [fault for path in COMPOSE_FILES for fault in (*specification_faults(path), *tool_faults(path))]
    for fault in faults:
        print(fault)
    return 1 if faults else 0


def read_compose_file(path: Path) -> dict[str, Any]:
    """Return what a compose file says where none of its variables is set."""
    content: dict[str, Any] = yaml.safe_load(VARIABLE.sub(r"\1", path.read_text()))
    return content


def specification_faults(path: Path) -> Iterator[str]:
    try:
        # As JSON, in which the file's anchors and merges are resolved already.
        PyCompose.from_json(json.dumps(read_compose_file(path))).validate()
    except ValueError as error:
        yield f"{path.name}: {error}"


def tool_faults(path: Path) -> Iterator[str]:
    tool = compose_tool()
    if tool is None:
        return
    ended = subprocess.run(
        [*tool, "--file", str(path), "config", "--quiet"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if ended.returncode != 0:
        yield f"{path.name}: {ended.stdout}{ended.stderr}"


def compose_tool() -> list[str] | None:
    """Return the start of a command line of Docker Compose, of version 2 or 1; None where neither is installed."""
    return next((tool for tool in TOOLS if _works(tool)), None)


def _works(tool: list[str]) -> bool:
    return bool(shutil.which(tool[0])) and (
        subprocess.run([*tool, "version"], capture_output=True, check=False).returncode == 0
    )


if __name__ == "__main__":
    sys.exit(main())
