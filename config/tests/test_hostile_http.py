"""What no test client can send: malformed and oversized HTTP, over a socket, to the server that `make up` runs."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from rest_framework_simplejwt.tokens import AccessToken

from compose.embedded.ports import free_port

START_SECONDS = 60
HOST = b"Connection: close\r\nHost: localhost\r\n"
LOGIN = b"POST /api/auth/token/ HTTP/1.1\r\nContent-Type: application/json\r\n" + HOST
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
FIVE_MEGABYTES = b'{"username": "' + b"a" * 5 * 1024 * 1024 + b'"}'

MALFORMED = {
    "not HTTP": b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
    "no version": b"GET /\r\n\r\n",
    "a header without a colon": b"GET /api/ HTTP/1.1\r\n" + HOST + b"nonsense\r\n\r\n",
    "raw bytes in the path": b"GET /api/\xff\xfe/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "a length that is no number": LOGIN + b"Content-Length: five\r\n\r\nhello",
    "two lengths": LOGIN + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "a negative length": LOGIN + b"Content-Length: -1\r\n\r\n",
    "a chunk that says no length": LOGIN + CHUNKED + b"zz\r\nhello\r\n0\r\n\r\n",
    "100 KiB in one header": b"GET /api/ HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 100 * 1024 + b"\r\n\r\n",
    "a path of 100 KiB": b"GET /" + b"a" * 100 * 1024 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
}
REFUSED = {
    "no host": (b"GET /api/nothing/ HTTP/1.0\r\n\r\n", 404),
    "another host": (b"GET /api/ HTTP/1.1\r\nConnection: close\r\nHost: evil.example\r\n\r\n", 400),
    "a host of garbage": (b"GET /api/ HTTP/1.1\r\nConnection: close\r\nHost: \xff\xfe\r\n\r\n", 400),
    "a query in raw UTF-8": ("GET /api/users/?search=Núria HTTP/1.1\r\n".encode() + HOST + b"\r\n", 400),
    "a NUL in the path": (b"GET /api/tickets/%00/ HTTP/1.1\r\n" + HOST + b"\r\n", 404),
    "a slash in the path": (b"GET /api/tickets/1%2F2/ HTTP/1.1\r\n" + HOST + b"\r\n", 404),
    "garbage in the path": (b"GET /api/%zz%/ HTTP/1.1\r\n" + HOST + b"\r\n", 404),
    "bytes in the token": (b"GET /api/users/me/ HTTP/1.1\r\n" + HOST + b"Authorization: Bearer \xff\r\n\r\n", 401),
    "bytes in the language": (b"GET /api/nothing/ HTTP/1.1\r\n" + HOST + b"Accept-Language: \xff\r\n\r\n", 404),
    "an unknown method": (b"BREW /api/auth/token/ HTTP/1.1\r\n" + HOST + b"\r\n", 405),
    "a body that is not there": (LOGIN + b"\r\n", 400),
    "an empty chunked body": (LOGIN + CHUNKED + b"0\r\n\r\n", 400),
    "5 MiB": (LOGIN + b"Content-Length: %d\r\n\r\n" % len(FIVE_MEGABYTES) + FIVE_MEGABYTES, 413),
    "5 MiB in a chunk": (
        LOGIN + CHUNKED + b"%x\r\n" % len(FIVE_MEGABYTES) + FIVE_MEGABYTES + b"\r\n0\r\n\r\n",
        413,
    ),
}

pytestmark = pytest.mark.xdist_group("hostile HTTP")


@pytest.fixture(scope="module")
def port():
    return free_port()


@pytest.fixture(scope="module", autouse=True)
def server(port):
    """Run a server without a database, which nothing here may need; it ends with the tests."""
    with running_server(port, database_port=1) as server:
        yield server


@contextmanager
def running_server(port, *, database_port):
    environment = os.environ | {
        "DATABASE_URL": f"postgres://nobody@127.0.0.1:{database_port}/nothing",
        "DJANGO_SETTINGS_MODULE": "config.settings.local",
        "DJANGO_DEBUG": "false",
        "THROTTLE_ANON_RATE": "",
        "THROTTLE_MAIL_RATE": "1/hour",
    }
    command = [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", str(port), "config.asgi:application"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as server:
        wait_for(port)
        yield server
        server.terminate()


def wait_for(port):
    for _attempt in range(START_SECONDS * 10):
        with closing(socket.socket()) as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    pytest.fail(f"The server does not listen after {START_SECONDS} s.")


def answer_to(port, request):
    """Send bytes, and return all that comes back until the server closes or has no more to say."""
    with closing(socket.create_connection(("127.0.0.1", port), timeout=10)) as client:
        client.sendall(request)
        answer = b""
        while chunk := client.recv(65536):
            answer += chunk
    return answer


@pytest.mark.parametrize("request_bytes", MALFORMED.values(), ids=MALFORMED)
def test_what_is_not_http_is_refused_without_a_trace(port, request_bytes):
    answer = answer_to(port, request_bytes)

    assert answer == b"" or (answer.startswith(b"HTTP/1.1 400 Bad Request\r\n") and b'"status":400,' in answer)


@pytest.mark.parametrize(("request_bytes", "status"), REFUSED.values(), ids=REFUSED)
def test_what_is_unusual_http_gets_a_problem_document(port, request_bytes, status):
    answer = answer_to(port, request_bytes)

    head, _, body = answer.partition(b"\r\n\r\n")
    assert int(head.split()[1]) == status
    assert b"\r\nContent-Type: application/problem+json\r\n" in head
    assert b"Traceback" not in body


@pytest.mark.parametrize(
    "body",
    [
        b"Content-Length: 1048577\r\n\r\n",
        b"Expect: 100-continue\r\nContent-Length: 60000000\r\n\r\n",
        CHUNKED + b"100001\r\n" + b"a" * 0x100001,
        CHUNKED + b"80000\r\n" + b"a" * 0x80000 + b"\r\n80001\r\n" + b"a" * 0x80001,
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 60000000\r\n\r\n" + b"a" * 0x100001,
    ],
    ids=["a length", "asked first", "a chunk", "chunks", "a handshake"],
)
def test_a_body_over_the_limit_is_refused_before_its_end(body, port):
    with closing(socket.create_connection(("127.0.0.1", port), timeout=10)) as client:
        client.sendall(LOGIN.replace(b"Connection: close\r\n", b"") + body)
        answer = b""
        while chunk := client.recv(65536):
            answer += chunk

    head, _, document = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 413 ")
    assert b"\r\nContent-Type: application/problem+json\r\n" in head
    assert json.loads(document)["code"] == "payload_too_large"


def test_a_body_at_the_limit_is_read(port):
    body = b'{"username": "", "password": "guess"}'.ljust(1024 * 1024)

    answer = answer_to(port, LOGIN + b"Content-Length: %d\r\n\r\n" % len(body) + body)

    assert b'"errors":[{"pointer":"#/username","code":"blank"' in answer


def test_refused_bodies_take_no_memory(server, port):
    before = resident_megabytes(server)

    for _ in range(10):
        answer_to(port, LOGIN + CHUNKED + b"%x\r\n" % len(FIVE_MEGABYTES) + FIVE_MEGABYTES + b"\r\n0\r\n\r\n")

    assert resident_megabytes(server) - before < 10


def resident_megabytes(process):
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / 1024


def test_a_chunked_body_is_read(port):
    body = b'{"username": "", "password": "guess"}'

    answer = answer_to(port, LOGIN + CHUNKED + b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n")

    assert b'"errors":[{"pointer":"#/username","code":"blank"' in answer


def test_a_database_that_is_away_is_a_503_to_whoever_needs_it(port):
    token = AccessToken()
    token["user_id"] = "1"
    body = b'{"username": "alice", "password": "guess"}'

    profile = answer_to(
        port, b"GET /api/users/me/ HTTP/1.1\r\n" + HOST + f"Authorization: Bearer {token}\r\n\r\n".encode()
    )
    login = answer_to(port, LOGIN + b"Content-Length: %d\r\n\r\n" % len(body) + body)

    for answer in (profile, login):
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nRetry-After: 2\r\n" in answer
        assert b"127.0.0.1" not in answer


def test_the_schema_needs_no_database(port):
    assert answer_to(port, b"GET /api/schema/ HTTP/1.1\r\n" + HOST + b"\r\n").startswith(b"HTTP/1.1 200 ")


def test_status_codes_younger_than_http_1_1_have_their_reason_phrase(port):
    body = json.dumps({"email": f"{uuid4().hex}@example.com"}).encode()
    request = LOGIN.replace(b"/api/auth/token/", b"/api/auth/password/reset/") + b"Content-Length: %d\r\n\r\n" % len(
        body
    )

    _unavailable, refused = (answer_to(port, request + body) for _ in range(2))

    assert refused.startswith(b"HTTP/1.1 429 Too Many Requests\r\n")


def test_it_ends_within_two_seconds_of_sigterm_although_a_request_waits_for_the_database():
    port = free_port()
    with (
        socket.create_server(("127.0.0.1", 0)) as database,
        running_server(port, database_port=database.getsockname()[1]) as server,
        closing(socket.create_connection(("127.0.0.1", port))) as client,
    ):
        client.sendall(b"GET /readyz HTTP/1.1\r\n" + HOST + b"\r\n")
        connection, _ = database.accept()
        began_at = time.monotonic()
        server.terminate()
        server.wait(10)
        seconds = time.monotonic() - began_at
        connection.close()

    assert server.returncode == 0
    assert seconds < 2
