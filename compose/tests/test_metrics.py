"""The metrics of the production image: one answer speaks for every process, whichever gives it."""

from contextlib import ExitStack

import httpx
import pytest

from compose.embedded.ports import LOOPBACK, answers, free_port
from compose.embedded.topology import Topology
from compose.tests.servers import production_environment, running, wait_until

MONITOR = "a-token-of-our-monitoring-system"
HEADERS = {"Host": "localhost", "X-Forwarded-Proto": "https"}
SERIES = 'helpdesk_requests_total{method="GET",route="/",status="200"} 40.0'

pytestmark = pytest.mark.django_db(transaction=True)


def test_every_replica_and_worker_answers_for_all(production_image, tmp_path, transactional_db):
    environment = production_environment("https://localhost") | {"HEALTH_TOKEN": MONITOR, "WEB_WORKERS": "2"}
    topology = Topology(image=production_image, folder=tmp_path, port=free_port())
    ports = topology.web_ports
    with ExitStack() as stack:
        for name in ("web-1", "web-2"):
            command = topology.commands()[name]
            stack.enter_context(running(command, production_image / "app", environment, tmp_path / f"{name}.log"))
        wait_until(lambda: all(map(answers, ports)), tmp_path)

        for port in ports * 20:
            httpx.get(f"http://{LOOPBACK}:{port}/", headers=HEADERS)

        def everywhere():
            bearer = HEADERS | {"Authorization": f"Bearer {MONITOR}"}
            return all(SERIES in httpx.get(f"http://{LOOPBACK}:{port}/metrics", headers=bearer).text for port in ports)

        wait_until(everywhere, tmp_path)
