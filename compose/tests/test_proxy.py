"""The servers of the production image, started by its own scripts, behind the proxy with its own configuration."""

import json
import os
import socket
import ssl
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from axes.models import AccessAttempt
from rest_framework_simplejwt.tokens import RefreshToken
from websockets.sync.client import connect

from compose.embedded.ports import LOOPBACK, answers, free_port
from compose.tests.conftest import BIN
from compose.tests.servers import moved, production_environment, running, wait_until
from helpdesk.users.tests.factories import UserFactory

CADDY = BIN / "caddy"
MEBIBYTE = 1024 * 1024

pytestmark = pytest.mark.django_db(transaction=True)


@dataclass(frozen=True)
class Site:
    url: str
    ports: dict[str, int]
    tls: ssl.SSLContext
    log: Path
    processes: dict[str, subprocess.Popen[bytes]]

    def ask(self, method, path, **options):
        return httpx.request(method, f"{self.url}{path}", verify=self.tls, timeout=30, **options)


@pytest.fixture
def site(production_image, tmp_path, transactional_db):
    """Run web, websocket and proxy on ports of their own."""
    ports = {name: free_port() for name in ("web", "websocket", "http", "https", "health")}
    url = f"https://localhost:{ports['https']}"
    environment = production_environment(url)
    with ExitStack() as stack:
        processes = {}
        for name, script, port in (("web", "start", "8000"), ("websocket", "start-websocket", "8001")):
            text = moved((production_image / script).read_text(), {port: ports[name], "0.0.0.0": LOOPBACK})
            processes[name] = stack.enter_context(
                running(["bash", "-c", text], production_image / "app", environment, tmp_path / f"{name}.log")
            )
        config = tmp_path / "Caddyfile"
        config.write_text(configuration(production_image, ports))
        command = [str(CADDY), "run", "--config", str(config)]
        own = {"PATH": os.defpath, "HOME": str(tmp_path), "SITE_URL": url}
        processes["proxy"] = stack.enter_context(running(command, tmp_path, own, tmp_path / "proxy.log"))
        authority = tmp_path / ".local/share/caddy/pki/authorities/local/root.crt"
        wait_until(lambda: authority.exists() and all(map(answers, ports.values())), tmp_path)
        tls = ssl.create_default_context(cafile=authority)
        yield Site(url, ports, tls, tmp_path / "proxy.log", processes)


def configuration(image, ports):
    """Return the proxy's configuration with other places and, so that a test need not wait, shorter times."""
    return moved(
        (image / "etc/caddy/Caddyfile").read_text(),
        {
            "admin off": "admin off\n\tskip_install_trust",
            "http_port 8080": f"http_port {ports['http']}",
            "https_port 8443": f"https_port {ports['https']}",
            ":2020": f":{ports['health']}",
            "replicas websocket 8001": f"replicas {LOOPBACK} {ports['websocket']}",
            "replicas web 8000": f"replicas {LOOPBACK} {ports['web']}",
            "/srv/static": image / "app" / "staticfiles",
            "read_header 10s": "read_header 2s",
            "read_body 30s": "read_body 2s",
            "write 60s": "write 2s",
            "lb_try_duration 15s": "lb_try_duration 1s",
        },
    )


def test_pages_static_files_and_addresses_go_their_ways(site):
    manifest = json.loads(site.ask("GET", "/static/staticfiles.json").text)["paths"]

    ready = site.ask("GET", "/readyz")
    hashed = site.ask("GET", f"/static/{manifest['admin/css/base.css']}")
    plain = site.ask("GET", "/static/admin/css/base.css")
    missing = site.ask("GET", "/static/nothing.css")
    insecure = httpx.get(f"http://localhost:{site.ports['http']}/admin/", follow_redirects=False)

    assert ready.json() == {"status": "ok", "postgresql": True, "redis": True}
    assert (hashed.status_code, hashed.headers["Content-Encoding"]) == (200, "gzip")
    assert hashed.headers["Cache-Control"] == "max-age=31536000, immutable"
    assert (plain.status_code, plain.headers["Cache-Control"]) == (200, "max-age=60")
    assert (missing.status_code, missing.headers["Content-Type"]) == (404, "application/problem+json")
    assert missing.json()["code"] == "not_found"
    assert (insecure.status_code, insecure.headers["Location"]) == (308, "https://localhost/admin/")
    assert not {"server", "via"} & {*ready.headers, *plain.headers}


def test_a_client_cannot_choose_its_address(site):
    headers = {"X-Forwarded-For": "192.0.2.1", "X_Forwarded_For": "192.0.2.2", "Forwarded": "for=192.0.2.3"}

    response = site.ask("POST", "/api/auth/token/", json={"username": "alice", "password": "wrong"}, headers=headers)

    assert response.status_code == 401
    assert [attempt.ip_address for attempt in AccessAttempt.objects.all()] in ([LOOPBACK], ["::1"])


def test_a_body_is_limited_by_the_helpdesk_and_a_huge_one_by_the_proxy(site):
    too_large = site.ask("POST", "/api/auth/token/", json={"username": "a" * MEBIBYTE})
    huge = site.ask("POST", "/api/auth/token/", json={"username": "a" * 3 * MEBIBYTE})

    for response in (too_large, huge):
        assert (response.status_code, response.headers["Content-Type"]) == (413, "application/problem+json")
        assert response.json()["code"] == "payload_too_large"
        assert response.json()["request_id"]


def test_a_client_that_is_slow_to_ask_is_cut_off(site):
    with (
        socket.create_connection(("localhost", site.ports["http"])) as plain,
        socket.create_connection(("localhost", site.ports["https"])) as raw,
        site.tls.wrap_socket(raw, server_hostname="localhost") as secure,
    ):
        for client in (plain, secure):
            client.settimeout(10)
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")

        assert [client.recv(1) for client in (plain, secure)] == [b"", b""]


def test_a_socket_outlives_the_limits_for_requests_and_its_token_is_in_no_log(site, tmp_path):
    token = str(RefreshToken.for_user(UserFactory()).access_token)
    url = f"{site.url.replace('https', 'wss')}/ws/notifications/?token={token}"

    with connect(url, ssl=site.tls) as client:
        with pytest.raises(TimeoutError):
            client.recv(timeout=3)
        client.send('{"type": "ping"}')
        answer = json.loads(client.recv(timeout=10))
    wait_until(lambda: "/ws/notifications/" in site.log.read_text(), tmp_path)

    assert answer == {"type": "pong"}
    assert not any(token in log.read_text() for log in tmp_path.glob("*.log"))
    assert "token=REDACTED" in site.log.read_text()


def test_a_token_is_in_no_log_when_the_websocket_server_is_gone(site, tmp_path):
    site.processes["websocket"].terminate()
    site.processes["websocket"].wait(15)

    response = site.ask("GET", "/ws/notifications/?token=secret")
    wait_until(lambda: "/ws/notifications/" in site.log.read_text(), tmp_path)

    assert (response.status_code, response.json()["code"]) == (502, "unavailable")
    assert "token=secret" not in site.log.read_text()


def test_when_the_web_server_is_gone_the_answer_is_a_problem_document_and_static_files_are_served(site):
    site.processes["web"].terminate()
    assert site.processes["web"].wait(15) == 0

    api = site.ask("GET", "/api/tickets/")
    static = site.ask("GET", "/static/admin/css/base.css")

    assert (api.status_code, api.json()["code"]) in {(502, "unavailable"), (503, "unavailable")}
    assert static.status_code == 200


@pytest.mark.parametrize("name", ["web", "websocket"])
def test_the_health_check_tells_a_server_that_answers_from_one_that_does_not(name, site, production_image):
    command = [sys.executable, str(production_image / "healthcheck"), str(site.ports[name]), "/livez"]

    before = subprocess.run(command, env={"SITE_URL": site.url}, capture_output=True, check=False)
    site.processes[name].terminate()
    site.processes[name].wait(15)
    after = subprocess.run(command, env={"SITE_URL": site.url}, capture_output=True, check=False)

    assert (before.returncode, after.returncode) == (0, 1), before.stderr
