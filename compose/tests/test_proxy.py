"""The servers of production, started by their own scripts, behind the proxy with its own configuration."""

import json
import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager

import httpx
import pytest
from axes.models import AccessAttempt
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from compose.embedded.ports import LOOPBACK, answers, free_port
from compose.embedded.production import CADDYFILE, SCRIPTS, ProductionTopology
from compose.tests.production_stack import socket_tls
from compose.tests.servers import production_environment, running, wait_until_logged
from helpdesk.users.actions import issue_tokens
from helpdesk.users.tests.factories import UserFactory

MEBIBYTE = 1024 * 1024
STALLED_UPLOADS = 20

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("proxy")]


SHORT_TIMES = {
    "read_header 10s": "read_header 2s",
    "read_body 20s": "read_body 4s",
    "write 60s": "write 2s",
    "lb_try_duration 15s": "lb_try_duration 1s",
}


class Site:
    """One web, websocket and proxy on ports of their own; with shorter times, so that a test need not wait."""

    def __init__(self, folder, stack):
        self.folder, self.stack = folder, stack
        self.topology = ProductionTopology(folder, free_port(), webs=1)
        self.environment = self.topology.environment(production_environment(self.topology.url))
        self.commands = self.topology.commands() | {"proxy": self.topology.proxy_command(folder / "Caddyfile")}
        self.ports = {"web-1": self.topology.web_ports[0], "websocket": self.topology.websocket_port}
        self.processes = {}
        self.log_start = 0

    @property
    def url(self):
        return self.topology.url

    @property
    def tls(self):
        return self.topology.tls

    def ask(self, method, path, **options):
        return httpx.request(method, f"{self.url}{path}", verify=self.tls, timeout=30, **options)

    def start(self, *names):
        for name in names:
            log = self.folder / f"{name}.log"
            self.processes[name] = self.stack.enter_context(running(self.commands[name], self.environment, log))
        wait_until_logged(self.is_ready, self.folder)

    def is_ready(self):
        proxy = [self.topology.port, self.topology.http_port, self.topology.health_port]
        return self.topology.authority.exists() and all(map(answers, [*proxy, *self.ports.values()]))

    @contextmanager
    def stopped(self, name):
        """Stop a process, yield its exit code, and start it again."""
        self.processes[name].terminate()
        yield self.processes[name].wait(15)
        self.start(name)

    def read_log(self):
        """Return what the proxy has logged during the test."""
        return (self.folder / "proxy.log").read_text()[self.log_start :]


@pytest.fixture(scope="module")
def running_site(static_files, django_db_setup, tmp_path_factory):
    folder = tmp_path_factory.mktemp("proxy")
    caddyfile = CADDYFILE.read_text()
    for time, short_time in SHORT_TIMES.items():
        assert time in caddyfile
        caddyfile = caddyfile.replace(time, short_time)
    (folder / "Caddyfile").write_text(caddyfile)
    with ExitStack() as stack:
        site = Site(folder, stack)
        site.start("web-1", "websocket", "proxy")
        yield site


@pytest.fixture
def site(running_site):
    running_site.log_start = 0
    running_site.log_start = len(running_site.read_log())
    return running_site


def test_pages_static_files_and_addresses_go_their_ways(site):
    manifest = json.loads(site.ask("GET", "/static/staticfiles.json").text)["paths"]

    ready = site.ask("GET", "/readyz")
    hashed = site.ask("GET", f"/static/{manifest['admin/css/base.css']}")
    plain = site.ask("GET", "/static/admin/css/base.css")
    missing = site.ask("GET", "/static/nothing.css")
    insecure = httpx.get(f"http://localhost:{site.topology.http_port}/admin/", follow_redirects=False)

    assert ready.json() == {"status": "healthy", "postgresql": True, "redis": True}
    assert (hashed.status_code, hashed.headers["Content-Encoding"]) == (200, "gzip")
    assert hashed.headers["Cache-Control"] == "max-age=31536000, immutable"
    assert (plain.status_code, plain.headers["Cache-Control"]) == (200, "max-age=60")
    assert (missing.status_code, missing.headers["Content-Type"]) == (404, "application/problem+json")
    assert missing.json()["code"] == "not_found"
    assert (insecure.status_code, insecure.headers["Location"]) == (308, f"{site.url}/admin/")
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


def test_uploads_that_stall_keep_nobody_waiting_and_never_reach_the_server(site):
    bearer = {"Authorization": f"Bearer {issue_tokens(UserFactory())['access']}"}

    with stalled_uploads(site, STALLED_UPLOADS), httpx.Client(base_url=site.url, verify=site.tls) as client:
        answers = []
        # Until the proxy has given all of them up.
        while site.read_log().count('"bytes_read":100,') < STALLED_UPLOADS:
            answers += [client.get("/livez", timeout=1), client.get("/api/tickets/", headers=bearer, timeout=1)]

    assert {answer.status_code for answer in answers} == {200}
    assert "/api/auth/token/stalled/" not in (site.folder / "web-1.log").read_text()


@contextmanager
def stalled_uploads(site, number):
    """Open connections that each send the beginning of a body, and no more."""
    head = b"POST /api/auth/token/stalled/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with ExitStack() as stack:
        for _ in range(number):
            raw = stack.enter_context(socket.create_connection(("localhost", site.topology.port)))
            client = stack.enter_context(site.tls.wrap_socket(raw, server_hostname="localhost"))
            client.sendall(head + b"Content-Length: 100000\r\n\r\n" + b" " * 100)
        yield


@pytest.mark.parametrize("length", ["Content-Length: 100000", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("upgrade", ["h2c", "websocket"])
def test_where_sockets_are_nothing_else_is_answered_and_no_body_is_read(upgrade, length, site):
    with stalled_request(site, f"Connection: keep-alive, Upgrade\r\nUpgrade: {upgrade}\r\n{length}\r\n") as client:
        answer = client.recv(65536).decode()

    head, _, body = answer.partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 404 ")
    assert "\r\nConnection: close" in head
    assert "\r\nContent-Type: application/problem+json" in head
    assert json.loads(body)["code"] == "not_found"


@contextmanager
def stalled_request(site, headers):
    """Ask for a socket's address with the beginning of a body."""
    head = f"POST /ws/notifications/ HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n"
    with (
        socket.create_connection(("localhost", site.topology.port)) as raw,
        site.tls.wrap_socket(raw, server_hostname="localhost") as client,
    ):
        client.settimeout(3)
        client.sendall(head.encode() + b"1000\r\n")
        yield client


def test_a_query_in_raw_utf_8_is_read(site):
    bearer = f"Bearer {issue_tokens(UserFactory())['access']}"
    head = f"GET /api/tickets/?search=Núria HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: {bearer}\r\n\r\n"

    with (
        socket.create_connection(("localhost", site.topology.port)) as raw,
        site.tls.wrap_socket(raw, server_hostname="localhost") as client,
    ):
        client.sendall(head.encode())
        answer = client.recv(65536)

    assert answer.startswith(b"HTTP/1.1 200 ")


def test_a_client_that_is_slow_to_ask_is_cut_off(site):
    with (
        socket.create_connection(("localhost", site.topology.http_port)) as plain,
        socket.create_connection(("localhost", site.topology.port)) as raw,
        site.tls.wrap_socket(raw, server_hostname="localhost") as secure,
    ):
        for client in (plain, secure):
            client.settimeout(10)
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")

        assert [client.recv(1) for client in (plain, secure)] == [b"", b""]


def test_a_socket_outlives_the_limits_for_requests_and_its_token_is_in_no_log(site):
    token = issue_tokens(UserFactory())["access"]
    url = f"{site.url.replace('https', 'wss')}/ws/notifications/?token={token}"

    with connect(url, ssl=socket_tls(site.topology)) as client:
        with pytest.raises(TimeoutError):
            client.recv(timeout=3)
        client.send('{"type": "ping"}')
        answer = json.loads(client.recv(timeout=10))
    wait_until_logged(lambda: "/ws/notifications/" in site.read_log(), site.folder)

    assert answer == {"type": "pong"}
    assert not any(token in log.read_text() for log in site.folder.glob("*.log"))
    assert "token=REDACTED" in site.read_log()


def test_a_token_is_in_no_log_when_the_websocket_server_is_gone(site):
    with site.stopped("websocket"), pytest.raises(InvalidStatus) as refused:
        connect(f"{site.url.replace('https', 'wss')}/ws/notifications/?token=secret", ssl=socket_tls(site.topology))
    wait_until_logged(lambda: "/ws/notifications/" in site.read_log(), site.folder)

    response = refused.value.response
    assert (response.status_code, json.loads(response.body)["code"]) == (502, "unavailable")
    assert "token=secret" not in site.read_log()


def test_when_the_web_server_is_gone_the_answer_is_a_problem_document_and_static_files_are_served(site):
    with site.stopped("web-1") as exit_code:
        api = site.ask("GET", "/api/tickets/")
        static = site.ask("GET", "/static/admin/css/base.css")

    assert exit_code == 0
    assert (api.status_code, api.json()["code"]) in {(502, "unavailable"), (503, "unavailable")}
    assert static.status_code == 200


@pytest.mark.parametrize("name", ["web-1", "websocket"])
def test_the_health_check_tells_a_server_that_answers_from_one_that_does_not(name, site):
    command = [sys.executable, str(SCRIPTS / "healthcheck"), str(site.ports[name]), "/livez"]

    before = subprocess.run(command, env={"SITE_URL": site.url}, capture_output=True, check=False)
    with site.stopped(name):
        after = subprocess.run(command, env={"SITE_URL": site.url}, capture_output=True, check=False)

    assert (before.returncode, after.returncode) == (0, 1), before.stderr
