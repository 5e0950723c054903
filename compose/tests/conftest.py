import fcntl
import os
import subprocess
import sys
from pathlib import Path
from tempfile import gettempdir

import pytest

from compose.embedded.options import ROOT
from compose.embedded.production import STATIC_FILES
from compose.tests.containers import LocalContainers, ProductionContainers, running
from compose.tests.production_stack import ProductionStack
from faults.stack import running_stack

# Collecting files uses none of the values.
SETTINGS = {
    "DJANGO_SETTINGS_MODULE": "config.settings.production",
    "DJANGO_ALLOWED_HOSTS": "localhost",
    "SITE_URL": "https://localhost",
    "EMAIL_HOST": "localhost",
}


@pytest.fixture(scope="session")
def static_files():
    """Production's static files, collected once for all processes of the tests."""
    with (Path(gettempdir()) / "helpdesk-static-files.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (STATIC_FILES / "staticfiles.json").exists():
            command = [sys.executable, "manage.py", "collectstatic", "--noinput", "--verbosity=0"]
            subprocess.run(command, cwd=ROOT, env=os.environ | SETTINGS, check=True)


def pytest_addoption(parser):
    parser.addoption("--containers", action="store_true", help="run production in real containers (make containers)")


@pytest.fixture(scope="session")
def session_production(request, tmp_path_factory):
    if request.config.getoption("containers"):
        context = running(ProductionContainers(tmp_path_factory.mktemp("production")))
    else:
        request.getfixturevalue("static_files")
        context = running_stack(ProductionStack)
    with context as stack:
        yield stack


@pytest.fixture(scope="session")
def local_containers(tmp_path_factory):
    with running(LocalContainers(tmp_path_factory.mktemp("local"))) as stack:
        yield stack


@pytest.fixture
def production(session_production):
    """All of production behind its proxy, wait_until_idle before each test."""
    session_production.wait_until_idle()
    return session_production
