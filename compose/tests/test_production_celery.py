"""Celery's processes of the production image, started by its own scripts."""

import os
import socket
import subprocess

import httpx
import pytest

from compose.embedded.compose_files import COMPOSE_FILES, read_compose_file
from compose.embedded.ports import LOOPBACK, free_port
from compose.embedded.topology import moved
from compose.tests.servers import production_environment, running, wait_until

PRODUCTION = read_compose_file(COMPOSE_FILES[1])["services"]

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_workers_health_check_tells_one_that_works_from_none(production_image, tmp_path):
    environment = production_environment("https://localhost") | {"HOSTNAME": socket.gethostname()}
    kind, command = PRODUCTION["celeryworker"]["healthcheck"]["test"]
    check = ["sh", "-c", command.replace("$$", "$")]
    app, log = production_image / "app", tmp_path / "worker.log"

    with running([str(production_image / "start-celeryworker")], app, environment, log) as worker:
        wait_until(lambda: " ready." in log.read_text(), tmp_path)
        working = subprocess.run(check, cwd=app, env=environment, capture_output=True, text=True, check=False)
        worker.terminate()
        code = worker.wait(30)
        none = subprocess.run(check, cwd=app, env=environment, capture_output=True, check=False)

    assert kind == "CMD-SHELL"
    assert working.returncode == 0, working.stdout + working.stderr
    assert code == 0
    assert none.returncode != 0


def test_flower_asks_for_the_password(production_image, tmp_path):
    port = free_port()
    script = moved((production_image / "start-flower").read_text(), {"5555": port, "0.0.0.0": LOOPBACK})
    environment = production_environment("https://localhost") | {
        "CELERY_FLOWER_USER": "operator",
        "CELERY_FLOWER_PASSWORD": "secret",
    }
    check = [str(production_image / "healthcheck"), str(port), "/healthcheck"]

    def is_healthy():
        return subprocess.run(check, env=environment, capture_output=True, check=False).returncode == 0

    with running(["bash", "-c", script], production_image / "app", environment, tmp_path / "flower.log"):
        wait_until(is_healthy, tmp_path)
        url = f"http://{LOOPBACK}:{port}/workers"
        statuses = [
            httpx.get(url, auth=auth).status_code for auth in (None, ("operator", "wrong"), ("operator", "secret"))
        ]

    assert statuses == [401, 401, 200]


@pytest.mark.parametrize("missing", ["CELERY_FLOWER_USER", "CELERY_FLOWER_PASSWORD"])
def test_flower_does_not_start_without_a_password(missing, production_image):
    environment = {
        "PATH": os.defpath,
        "CELERY_FLOWER_USER": "operator",
        "CELERY_FLOWER_PASSWORD": "secret",
        missing: "",
    }

    ended = subprocess.run(
        [str(production_image / "start-flower")], env=environment, capture_output=True, text=True, check=False
    )

    assert ended.returncode == 1
    assert ended.stderr == "helpdesk: Flower does not start: set CELERY_FLOWER_USER and CELERY_FLOWER_PASSWORD.\n"
