"""The metrics of production: what each process that forks counts, one port answers for all its children."""

from contextlib import ExitStack

import httpx
import pytest

from compose.embedded.ports import LOOPBACK, answers, free_port
from compose.embedded.production import ProductionTopology
from compose.tests.servers import production_environment, running, wait_until_logged
from helpdesk.emails.tasks import send_emails
from helpdesk.emails.tests.factories import EmailFactory

TOKEN = "a-token-of-our-monitoring-system"

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def topology(static_files, tmp_path):
    return ProductionTopology(tmp_path, free_port())


def metrics_of(address):
    try:
        return httpx.get(f"http://{address}/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).text
    except httpx.TransportError:
        return ""


def test_a_web_server_answers_for_its_workers_without_the_proxy(topology, tmp_path):
    port = topology.web_ports[0]
    environment = production_environment("https://localhost") | {"HEALTH_TOKEN": TOKEN, "WEB_WORKERS": "2"}
    with running(topology.commands()["web-1"], environment, tmp_path / "web.log"):
        wait_until_logged(lambda: answers(port), tmp_path)
        for _ in range(40):
            headers = {"Host": "localhost", "X-Forwarded-Proto": "https"}
            httpx.get(f"http://{LOOPBACK}:{port}/", headers=headers)

        assert 'helpdesk_requests_total{method="GET",route="/",status="200"} 40.0' in metrics_of(f"localhost:{port}")


def test_the_worker_and_the_announcer_serve_theirs(topology, tmp_path, transactional_db):
    addresses = {name: f"{LOOPBACK}:{free_port()}" for name in ("worker", "announcer")}
    with ExitStack() as stack:
        for name, address in addresses.items():
            environment = production_environment("https://localhost") | {"METRICS_ADDRESS": address}
            command = topology.commands()[name]
            stack.enter_context(running(command, environment, tmp_path / f"{name}.log"))
        # No SMTP server listens.
        send_emails.delay([EmailFactory().pk])

        failed = 'outcome="retry"} 1.0'
        wait_until_logged(lambda: failed in metrics_of(addresses["worker"]), tmp_path)
        wait_until_logged(lambda: "helpdesk_events_announced_total" in metrics_of(addresses["announcer"]), tmp_path)
