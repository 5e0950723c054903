"""What the processes of the product really write: lines that programs can read, and nothing that is secret."""

import json
from contextlib import ExitStack, suppress
from uuid import uuid4

import httpx
import pytest
from django.contrib.auth.hashers import make_password
from django.db import connection
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from compose.embedded.ports import LOOPBACK, answers, free_port
from compose.embedded.product import LOCAL_SCRIPTS, script
from compose.embedded.production import ProductionTopology
from compose.tests.servers import production_environment, running, wait_until_logged
from helpdesk.emails.messages import get_password_reset_url, get_unsubscribe_url
from helpdesk.emails.models import Email
from helpdesk.tickets.models import TicketEvent
from helpdesk.users.actions import issue_tokens
from helpdesk.users.tests.factories import UserFactory

SITE = "https://localhost"
# What each says it is, and its name in the topology.
PROCESSES = {"web": "web-1", "websocket": "websocket", "worker": "worker", "beat": "beat", "announcer": "announcer"}
PASSWORD = "correct-horse-battery-staple"
MONITOR = "a-token-of-our-monitoring-system"

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("logs")]


@pytest.fixture
def user():
    return UserFactory(username="alice", email="alice@example.com", password=make_password(PASSWORD, hasher="argon2"))


@pytest.fixture(scope="module")
def processes(static_files, django_db_setup, tmp_path_factory):
    """Run every process of production, each with a log of its own, and a developer's Daphne beside them."""
    logs = tmp_path_factory.mktemp("logs")
    topology = ProductionTopology(logs, free_port())
    ports = {"web": topology.web_ports[0], "websocket": topology.websocket_port, "local": free_port()}
    environment = production_environment(SITE) | {
        "HEALTH_TOKEN": MONITOR,
        "EMAIL_PORT": str(free_port()),
        # In the image, nothing runs as root.
        "PYTHONWARNINGS": "ignore:You're running the worker",
    }
    with ExitStack() as stack:
        for role, name in PROCESSES.items():
            command = topology.commands()[name]
            stack.enter_context(running(command, environment, logs / f"{role}.log"))
        command = script(LOCAL_SCRIPTS / "start", PORT=ports["local"])
        local = environment | {"DJANGO_SETTINGS_MODULE": "config.settings.local"}
        stack.enter_context(running(command, local, logs / "local.log"))
        wait_until_logged(lambda: all(map(answers, ports.values())), logs)
        wait_until_logged(lambda: " ready." in (logs / "worker.log").read_text(), logs)
        wait_until_logged(lambda: "Announcing" in (logs / "announcer.log").read_text(), logs)
        wait_until_logged(lambda: "Starting" in (logs / "beat.log").read_text(), logs)
        yield ports, logs


@pytest.fixture
def ports(processes):
    return processes[0]


@pytest.fixture
def logs(processes):
    return processes[1]


@pytest.fixture
def request_id():
    return f"a-request-of-alices-{uuid4()}"


def lines_of(log):
    return [json.loads(line) for line in log.read_text().splitlines()]


def send_secrets(port, secrets, user):
    """Send every secret in every place, to paths that accept, refuse and cannot read it."""
    base = f"http://{LOOPBACK}:{port}"
    access = secrets["access"]
    # A server may end a connection on which it has refused a request without reading its body.
    headers = {"Host": "localhost", "X-Forwarded-Proto": "https", "Connection": "close"}
    with httpx.Client(base_url=base, headers=headers) as client:
        body = {"username": user.username, "password": PASSWORD}
        secrets |= {
            f"login at {port}: {name}": token
            for name, token in client.post("/api/auth/token/", json=body).json().items()
        }
        for secret in list(secrets.values()):
            bearer = {"Authorization": f"Bearer {secret}"}
            client.get("/api/tickets/", headers=bearer)
            client.get("/api/health/", headers=bearer)
            client.get(
                "/api/nothing/", params={"token": secret, "search": secret}, headers={"Cookie": f"sessionid={secret}"}
            )
            client.get(
                "/api/tickets/",
                params={"search": secret, "page": secret},
                headers={"Authorization": f"Bearer {access}"},
            )
            client.post("/api/auth/token/", json={"username": "mallory", "password": secret, "more": [secret]})
            client.post("/api/auth/token/refresh/", json={"refresh": secret})
            client.post("/api/auth/password/reset/confirm/", json={"token": secret, "password": secret})
            client.post(
                "/api/auth/token/", content=f'{{"password": "{secret}"', headers={"Content-Type": "application/json"}
            )
            client.post("/admin/login/", data={"username": "mallory", "password": secret})
            client.get("/", headers={"Host": f"{secret.partition('#')[0]}.example.com"})
            for path in (f"/?token={secret}", f"/emails/unsubscribe/{secret.rpartition('/unsubscribe/')[2]}"):
                with suppress(httpx.InvalidURL):
                    client.get(path)


def knock(port, secret):
    with suppress(WebSocketException, OSError), connect(f"ws://localhost:{port}/ws/notifications/?token={secret}"):
        pass
    with suppress(WebSocketException, OSError), connect(f"ws://localhost:{port}/ws/nothing/?token={secret}"):
        pass


def test_no_log_of_any_process_holds_a_secret(ports, logs, user):
    secrets = {
        **issue_tokens(user),
        "monitor": MONITOR,
        "password": PASSWORD,
        "reset link": get_password_reset_url(user),
        "unsubscribe link": get_unsubscribe_url(user, "status_changed"),
    }

    for port in ports.values():
        send_secrets(port, secrets, user)
    for port in (ports["websocket"], ports["local"]):
        for secret in list(secrets.values()):
            knock(port, secret.partition("#")[2] or secret)

    tokens = {
        name: secret.partition("#")[2] or secret.rpartition("/unsubscribe/")[2].strip("/")
        for name, secret in secrets.items()
    }
    texts = {log.name: log.read_text() for log in logs.glob("*.log")}
    assert len(tokens) == 12
    assert {(log, name) for log, text in texts.items() for name, token in tokens.items() if token in text} == set()
    assert all(texts.values())
    for name in ("web", "websocket"):
        assert {line["path"] for line in lines_of(logs / f"{name}.log") if "path" in line} >= {
            "/api/tickets/",
            "/admin/login/",
        }


def test_a_request_is_followed_through_every_process(ports, logs, user, request_id):
    UserFactory(username="agatha", agent=True)
    access = issue_tokens(user)["access"]
    headers = {"Host": "localhost", "X-Forwarded-Proto": "https", "Authorization": f"Bearer {access}"}
    body = {"title": "A teapot", "description": "It says 418.", "priority": "high"}

    response = httpx.post(
        f"http://{LOOPBACK}:{ports['web']}/api/tickets/", json=body, headers=headers | {"X-Request-ID": request_id}
    )
    wait_until_logged(lambda: request_id in (logs / "worker.log").read_text(), logs)

    assert response.status_code == 201
    for name in PROCESSES:
        lines = lines_of(logs / f"{name}.log")
        assert {line["process"] for line in lines} == {name}
        about = [line["message"] for line in lines if line["request_id"] == request_id]
        assert len(about) == (1 if name in {"web", "announcer", "worker"} else 0), about
    assert TicketEvent.objects.get().request_id == Email.objects.get().request_id == request_id


@pytest.fixture
def broken_comments(transactional_db):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE tickets_comment RENAME TO away")
        yield
        cursor.execute("ALTER TABLE away RENAME TO tickets_comment")


def test_a_broken_request_is_logged_with_its_exception_and_without_its_secrets(
    ports, logs, user, request_id, broken_comments
):
    access = issue_tokens(user)["access"]
    headers = {"Host": "localhost", "X-Forwarded-Proto": "https", "Authorization": f"Bearer {access}"}

    responses = [
        httpx.get(
            f"http://{LOOPBACK}:{port}/api/comments/",
            params={"token": access},
            headers=headers | {"X-Request-ID": request_id},
        )
        for port in (ports["web"], ports["local"])
    ]

    (broken,) = [line for line in lines_of(logs / "web.log") if "exception" in line]
    assert [response.status_code for response in responses] == [500, 500]
    assert (broken["request_id"], broken["level"], broken["logger"]) == (request_id, "ERROR", "django.request")
    assert 'relation "tickets_comment" does not exist' in broken["exception"]
    assert 'relation "tickets_comment" does not exist' in (logs / "local.log").read_text()
    assert not any(access in log.read_text() for log in logs.glob("*.log"))
