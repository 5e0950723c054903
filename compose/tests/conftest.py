import os
import subprocess
import sys
from pathlib import Path

import pytest

from compose.embedded.options import ROOT
from compose.tests.dockerfile import copy_ours, read_stages

BIN = Path(sys.executable).parent


@pytest.fixture(scope="session")
def production_image(tmp_path_factory):
    """A folder with what the production images get from here, made as their Dockerfile says, but for the packages."""
    stages = read_stages(ROOT / "compose" / "production" / "django" / "Dockerfile")
    image = tmp_path_factory.mktemp("image")
    for name in ("build", "proxy", "django"):
        copy_ours(stages[name], image)
    for command in stages["build"].all("RUN"):
        if "pip install" not in command:
            run_in_image(image, command)
    return image


def run_in_image(image: Path, command: str) -> None:
    environment = {"PATH": f"{BIN}:{os.defpath}"}
    ended = subprocess.run(
        ["sh", "-c", command], cwd=image / "app", env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
