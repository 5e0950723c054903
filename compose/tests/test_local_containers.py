"""A developer's stack in real containers: docker-compose.local.yml."""

from contextlib import suppress

import httpx
import pytest

from faults.history import History
from faults.workload import running_workload
from helpdesk.testing import wait_until

pytestmark = pytest.mark.containers

SEED = 1
DELIVERED_SECONDS = 120


@pytest.fixture
def local(local_containers):
    local_containers.wait_until_idle()
    return local_containers


def test_its_pages_answer(local):
    pages = [
        f"{local.url}/",
        f"{local.url}/api/docs/",
        f"{local.url}/api/schema/",
        f"{local.url}/admin/login/",
        f"http://localhost:{local.flower_port}/",
        f"http://localhost:{local.mail_port}/",
    ]

    assert {page: httpx.get(page).status_code for page in pages} == dict.fromkeys(pages, 200)


@pytest.mark.parametrize("service", ["django", "celeryworker", "celerybeat", "announcer", "redis", "postgres"])
def test_a_restart_of_each_container_loses_nothing(local, service):
    with running_workload(local, seed=SEED, repeats=True) as workload:
        local.compose("restart", "--timeout=60", service)
        local.wait_until_healthy(service)
        workload.wait_for_writes(3)

        workload.wait_until_delivered(seconds=DELIVERED_SECONDS)
        History(workload).check()


def title_of_the_schema(stack):
    """Return the title, None while the server starts again."""
    with suppress(httpx.TransportError, httpx.HTTPStatusError):
        response = httpx.get(f"{stack.url}/api/schema/", headers={"Accept": "application/json"})
        return response.raise_for_status().json()["info"]["title"]
    return None


def test_a_changed_source_is_loaded(local):
    with (local.folder / "config" / "settings" / "local.py").open("a") as file:
        file.write('SPECTACULAR_SETTINGS["TITLE"] = "Changed"\n')

    wait_until(lambda: title_of_the_schema(local) == "Changed", what="the new title is shown")
