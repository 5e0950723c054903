"""Sentry and OpenTelemetry: what is sent, that it contains no secret, and that both are off by default."""

import gzip
import json
import os
import subprocess
import sys
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from compose.embedded.options import ROOT
from config.tests.variables import COMPLETE

REQUEST_ID = "a-request-of-alices"
SECRETS = ["eyJhbGciOiJI.eyJzdWIiOiIx.signature", "correct-horse-battery", "a-search-of-alices", "sessionid-of-alice"]
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
# redis-py imports some of OpenTelemetry by itself, wherever it is installed; its exporter is what we import.
# A request that breaks with secrets in every place, without PostgreSQL and Redis.
PROGRAM = f"""
import sys
from config.wsgi import application
from django.http import HttpResponse
from django.test import RequestFactory
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
import config.urls

token, password, search, session = {SECRETS!r}

def broken(request, token):
    secret = password
    raise ValueError(f"refused: Bearer {{token}} password={{password}}")

config.urls.urlpatterns += [
    path("emails/unsubscribe/<str:token>/broken", csrf_exempt(broken)),
    path("fine/<str:token>", csrf_exempt(lambda request, token: HttpResponse())),
]
headers = {{
    "Cookie": f"sessionid={{session}}",
    "Authorization": f"Bearer {{token}}",
    "X-Request-ID": {REQUEST_ID!r},
    "traceparent": "00-{TRACE_ID}-b7ad6b7169203331-01",
}}
for where in (f"/emails/unsubscribe/{{token}}/broken", f"/fine/{{token}}"):
    url = f"{{where}}?token={{token}}&search={{search}}"
    environ = RequestFactory().post(url, {{"password": password}}, headers=headers).environ
    application(environ, lambda status, headers: None).close()
if "sentry_sdk" in sys.modules:
    sys.modules["sentry_sdk"].flush(10)
if "opentelemetry.exporter" in sys.modules:
    from opentelemetry import trace
    trace.get_tracer_provider().force_flush(10_000)
print(*[name for name in ("sentry_sdk", "opentelemetry.exporter") if name in sys.modules])
"""


@contextmanager
def collector():
    """Yield the port of a server that takes everything, and the list of the paths and bodies that it got."""
    got = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.path, gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments):
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_port, got
        finally:
            server.shutdown()


def run(variables):
    return subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "DJANGO_ALLOWED_HOSTS": "testserver", "no_proxy": "*"} | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )


@pytest.fixture
def environment():
    return COMPLETE | {"DJANGO_ALLOWED_HOSTS": "testserver", "REDIS_URL": "redis://127.0.0.1:1/0"}


@pytest.mark.parametrize(
    "variables", [{}, {"SENTRY_DSN": "", "OTEL_EXPORTER_OTLP_ENDPOINT": ""}], ids=["unset", "empty"]
)
def test_without_the_variables_nothing_is_imported(environment, variables):
    ended = run(environment | variables)

    assert ended.stdout == "\n"


def test_an_error_arrives_at_sentry_without_a_secret(environment):
    with collector() as (port, got):
        ended = run(environment | {"SENTRY_DSN": f"http://public@127.0.0.1:{port}/1"})

    assert ended.stdout == "sentry_sdk\n"
    (body,) = [body.decode() for path, body in got if path == "/api/1/envelope/"]
    event = json.loads(body.splitlines()[2])
    (error,) = event["exception"]["values"]
    assert (error["type"], error["value"]) == ("ValueError", "refused: Bearer REDACTED password=REDACTED")
    assert event["tags"]["request_id"] == REQUEST_ID
    assert event["request"] == {"method": "POST", "url": "http://testserver/emails/unsubscribe/REDACTED/broken"}
    assert "user" not in event
    assert [secret for secret in SECRETS if secret in body] == []


def test_spans_arrive_at_a_collector_without_a_secret(environment):
    with collector() as (port, got):
        ended = run(environment | {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}"})

    assert ended.stdout == "opentelemetry.exporter\n"
    sent = b"".join(body for path, body in got if path == "/v1/traces")
    for expected in ("POST /emails/unsubscribe/{token}/broken", "POST /fine/{token}", REQUEST_ID, "helpdesk"):
        assert expected.encode() in sent
    assert bytes.fromhex(TRACE_ID) in sent
    assert [secret for secret in SECRETS if secret.encode() in sent] == []


def test_a_collector_that_does_not_answer_harms_nobody(environment):
    variables = {"SENTRY_DSN": "http://public@127.0.0.1:1/1", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}

    ended = run(environment | variables)

    assert ended.stdout == "sentry_sdk opentelemetry.exporter\n"
