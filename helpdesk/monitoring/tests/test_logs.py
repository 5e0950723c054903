"""Log lines: their fields, the request id, and that they contain no secrets."""

import json
import logging
import re
from io import StringIO
from uuid import UUID

import pytest

from helpdesk.emails.models import Email
from helpdesk.emails.tasks import send_emails
from helpdesk.monitoring.logs import JSONFormatter, LineFormatter
from helpdesk.tickets.announcer import Announcer
from helpdesk.tickets.models import TicketEvent

REQUEST_ID = "a-request-of-alices"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture
def lines():
    """Return a function to what a logger has said, as production writes it."""
    written = StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JSONFormatter())
    logging.getLogger().addHandler(handler)
    yield lambda logger: [
        line for line in map(json.loads, written.getvalue().splitlines()) if line["logger"] == logger
    ]
    logging.getLogger().removeHandler(handler)


def record(message, *arguments, error=None):
    exc_info = (type(error), error, None) if error else None
    return logging.LogRecord("a", logging.INFO, "a.py", 1, message, arguments, exc_info)


def test_a_request_is_one_line_without_its_query_string(api, customer, lines):
    api(customer).get("/api/tickets/?search=secret", headers={"X-Request-ID": REQUEST_ID})

    (line,) = lines("helpdesk.access")
    assert TIME.fullmatch(line.pop("time"))
    assert line.pop("milliseconds") > 0
    assert re.fullmatch(r"GET /api/tickets/ 200 in [\d.]+ ms", line.pop("message"))
    assert line.pop("pid") > 0
    assert line == {
        "level": "INFO",
        "logger": "helpdesk.access",
        "request_id": REQUEST_ID,
        "process": "command",
        "method": "GET",
        "path": "/api/tickets/",
        "status": 200,
        "user_id": customer.pk,
    }


@pytest.mark.django_db
def test_an_anonymous_request_costs_no_query_for_its_line(api, lines, django_assert_num_queries):
    with django_assert_num_queries(0):
        api().get("/api/nothing/", headers={"Cookie": "sessionid=abc"})

    (line,) = lines("helpdesk.access")
    assert (line["status"], line["user_id"]) == (404, None)


def test_probes_are_not_logged(client, lines):
    client.get("/livez")

    assert lines("helpdesk.access") == []


def test_an_address_cannot_begin_a_line_of_its_own(client, lines):
    client.get("/a%0AINFO%20b\x85%E2%80%A8")

    (line,) = lines("helpdesk.access")
    assert line["path"] == "/a%0AINFO%20b%C2%85%E2%80%A8"
    assert len(line["message"].splitlines()) == 1


@pytest.mark.django_db(transaction=True)
def test_the_request_is_named_in_its_event_its_announcement_and_its_email(
    api, customer, agent, lines, django_capture_on_commit_callbacks
):
    body = {"title": "A teapot", "description": "It says 418.", "priority": "high"}

    api(customer).post("/api/tickets/", body, headers={"X-Request-ID": REQUEST_ID})
    Announcer().announce_all()
    with django_capture_on_commit_callbacks(execute=True):
        send_emails([Email.objects.get().pk])

    event = TicketEvent.objects.get()
    (announced,) = lines("helpdesk.tickets.announcer")
    (sent,) = lines("helpdesk.emails.actions")
    assert event.request_id == Email.objects.get().request_id == REQUEST_ID
    assert (announced["request_id"], announced["event"]) == (REQUEST_ID, str(event.uuid))
    assert (sent["request_id"], sent["kind"], sent["message"].split()[-1]) == (REQUEST_ID, "ticket_created", "sent")


def test_work_for_nobody_names_no_request(api, customer, agent, lines):
    api(customer).get("/api/tickets/")

    logging.getLogger("a").info("Later")

    (line,) = lines("a")
    assert line["request_id"] is None


def test_an_exception_is_a_field_on_the_same_line():
    text = JSONFormatter().format(record("Broken", error=ValueError("a\nb")))

    assert len(text.splitlines()) == 1
    assert json.loads(text)["exception"] == "ValueError: a\nb"


def test_what_is_no_text_is_logged_all_the_same():
    text = JSONFormatter().format(record("%s", "\ud800 \x00 \u2028"))

    assert json.loads(text)["message"] == "\ud800 \x00 \u2028"
    assert len(text.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("WSCONNECTING /ws/?token=abc.defgh&a=1", "WSCONNECTING /ws/?token=REDACTED&a=1"),
        ("Authorization: Bearer abc-def.1", "Authorization: Bearer REDACTED"),
        ("GET /emails/unsubscribe/WzEsImEi:sig-1/ 200", "GET /emails/unsubscribe/REDACTED/ 200"),
        ("https://a.example/verify-email#abcd:1-2", "https://a.example/verify-email#REDACTED"),
        ("https://a.example/reset-password#MQ:abcd-1", "https://a.example/reset-password#REDACTED"),
        ("{'password=hunter22'}", "{'password=REDACTED'}"),
        ("refused: eyJhbGciOiJI.eyJzdWIiOiIx.sig_-1", "refused: REDACTED"),
        ("redis://:secret@redis:6379/0", "redis://REDACTED@redis:6379/0"),
        ("DETAIL:  Failing row contains (1, alice, a@b.c).", "DETAIL:  Failing row contains (REDACTED"),
        ("a bearer of news, http://localhost:8000/a@b", "a bearer of news, http://localhost:8000/a@b"),
    ],
)
def test_secrets_are_in_no_line(text, expected):
    error = ValueError(text)

    line = json.loads(JSONFormatter().format(record("%s", text, error=error)))

    assert (line["message"], line["exception"]) == (expected, f"ValueError: {expected}")
    assert LineFormatter("{message}", style="{").format(record(text)) == expected


CONTROLS = "".join(map(chr, [*range(9), *range(10, 32), *range(127, 160), 0x2028, 0x2029]))


@pytest.mark.parametrize("formatter", [JSONFormatter(), LineFormatter("{levelname} {message}", style="{")])
def test_no_control_character_of_a_message_is_in_its_line(formatter):
    text = formatter.format(record("%s", f"a{CONTROLS}b"))

    assert not set(CONTROLS) & set(text)
    assert r"\u001b" in text


def test_only_a_trace_has_lines_of_its_own():
    text = LineFormatter("{message}", style="{").format(record("a\nINFO b", error=ValueError("c\x1b[2J")))

    assert text.splitlines() == [r"a\u000aINFO b", r"ValueError: c\u001b[2J"]


def test_the_environment_names_the_process(monkeypatch):
    monkeypatch.setenv("PROCESS_ROLE", "worker")

    assert json.loads(JSONFormatter().format(record("Ready")))["process"] == "worker"


def test_a_line_about_an_event_without_a_request_names_none():
    logged = record("Announced")
    logged.request_id = ""

    assert json.loads(JSONFormatter().format(logged))["request_id"] is None


def test_fields_of_a_record_are_in_its_line_but_those_of_libraries_are_not():
    logged = record("Broken")
    logged.__dict__ |= {"event": UUID(int=1), "request": "GET /?token=abc", "data": {"args": "secret"}}

    line = json.loads(JSONFormatter().format(logged))

    assert line["event"] == str(UUID(int=1))
    assert not {"request", "data"} & line.keys()
