"""What the production images get from here, in a folder, made as their Dockerfile says, but for the packages."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from compose.embedded.dockerfile import copy_ours, read_stages
from compose.embedded.errors import Refusal
from compose.embedded.options import ROOT

BIN = Path(sys.executable).parent
DOCKERFILE = ROOT / "compose" / "production" / "django" / "Dockerfile"


def make_image(image: Path) -> None:
    """Make the folder anew."""
    shutil.rmtree(image, ignore_errors=True)
    stages = read_stages(DOCKERFILE)
    for name in ("build", "proxy", "django"):
        copy_ours(stages[name], image)
    for command in stages["build"].all("RUN"):
        if "pip install" not in command:
            _run(command, image / "app")


def _run(command: str, folder: Path) -> None:
    ended = subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env={"PATH": f"{BIN}:{os.defpath}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if ended.returncode != 0:
        raise Refusal(f"`{command}` failed: {ended.stdout}")
