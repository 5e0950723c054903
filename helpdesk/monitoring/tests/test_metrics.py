"""Metrics: what they contain, and that their labels have few values."""

import httpx
import pytest
from django.db import OperationalError, connection
from prometheus_client.parser import text_string_to_metric_families

from compose.embedded.ports import LOOPBACK, free_port
from helpdesk.emails import actions
from helpdesk.emails.models import Email
from helpdesk.emails.tasks import send_emails
from helpdesk.monitoring.metrics import serve_metrics
from helpdesk.monitoring.middleware import format_route
from helpdesk.tickets.announcer import Announcer

TOKEN = "a-token-of-our-monitoring-system"


@pytest.fixture
def scrape(client, settings):
    """Return a function that returns all samples, by their names and sorted labels, as Prometheus reads them."""
    settings.HEALTH_TOKEN = TOKEN
    accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.1"

    def samples():
        response = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}", "Accept": accept})
        assert response.status_code == 200
        assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert "no-store" in response.headers["Cache-Control"]
        return {
            (sample.name, *(sample.labels[label] for label in sorted(sample.labels))): sample.value
            for family in text_string_to_metric_families(response.text)
            for sample in family.samples
        }

    return samples


@pytest.fixture
def increases(scrape):
    """Return a function that returns the samples that have grown since the test began, by how much."""
    before = scrape()
    return lambda: {key: value - before.get(key, 0) for key, value in scrape().items() if value > before.get(key, 0)}


def test_requests_are_counted_by_route_and_never_by_path(api, customer, ticket, increases):
    for path in (f"/api/tickets/{ticket.pk}/", "/api/tickets/0/", "/api/tickets/0/?a=1"):
        api(customer).get(path)
    api(customer).post("/api/tickets/", {})
    api(customer).get("/an/unknown/path")
    api(customer).generic("BREW", "/another")

    found = increases()

    assert {key[1:]: value for key, value in found.items() if key[0] == "helpdesk_requests_total"} == {
        ("GET", "/api/tickets/{pk}/", "200"): 1,
        ("GET", "/api/tickets/{pk}/", "404"): 2,
        ("POST", "/api/tickets/", "400"): 1,
        ("GET", "none", "404"): 1,
        ("other", "none", "404"): 1,
        ("GET", "/metrics", "200"): 1,
    }
    assert found["helpdesk_request_seconds_count", "GET", "/api/tickets/{pk}/"] == 3
    assert found["helpdesk_request_seconds_bucket", "+Inf", "GET", "/api/tickets/{pk}/"] == 3
    assert found["helpdesk_request_seconds_sum", "GET", "/api/tickets/{pk}/"] > 0


@pytest.mark.django_db(transaction=True)
def test_announced_events_and_attempts_to_send_are_counted(api, customer, agent, increases):
    api(customer).post("/api/tickets/", {"title": "A teapot", "description": "418", "priority": "high"})
    Announcer().announce_all()
    send_emails([Email.objects.get().pk])
    actions.log_outcome(Email(kind="comment_added"), "dead")

    found = increases()

    assert found["helpdesk_events_announced_total", "ticket_created"] == 1
    assert found["helpdesk_emails_total", "ticket_created", "sent"] == 1
    assert found["helpdesk_emails_total", "comment_added", "dead"] == 1


@pytest.mark.django_db
def test_the_health_checks_are_gauges_and_unknown_values_are_missing(scrape):
    samples = scrape()

    assert samples["helpdesk_postgresql_available",] == samples["helpdesk_redis_available",] == 1
    assert samples["helpdesk_oldest_unannounced_event_seconds",] == 0
    assert (samples["helpdesk_announcer_has_leader",], samples["helpdesk_check_healthy", "announcer_has_leader"]) == (
        0,
        0,
    )
    assert ("helpdesk_email_sweep_age_seconds",) not in samples
    assert samples["helpdesk_check_healthy", "email_sweep_age_seconds"] == 0


def test_the_health_token_reads_them_while_postgresql_is_down(scrape, monkeypatch):
    def refuse():
        raise OperationalError

    monkeypatch.setattr(connection, "cursor", refuse)

    assert scrape()["helpdesk_check_healthy", "postgresql_available"] == 0


@pytest.mark.django_db
def test_requests_are_counted_without_redis(api, customer, increases, redis_down):
    api(customer).get("/api/users/me/")

    assert increases()["helpdesk_requests_total", "GET", "/api/users/me/", "200"] == 1


def test_a_process_without_http_serves_its_metrics(settings):
    settings.METRICS_ADDRESS = f"{LOOPBACK}:{free_port()}"

    serve_metrics()

    assert "helpdesk_emails_total" in httpx.get(f"http://{settings.METRICS_ADDRESS}/metrics").text


def test_by_default_a_process_without_http_opens_no_port(monkeypatch):
    started = []
    monkeypatch.setattr("helpdesk.monitoring.metrics.start_http_server", lambda *address: started.append(address))

    serve_metrics()

    assert started == []


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("api/^tickets/(?P<pk>[^/.]+)/$", "/api/tickets/{pk}/"),
        ("emails/unsubscribe/<str:token>/", "/emails/unsubscribe/{token}/"),
        ("admin/<path:object_id>/", "/admin/{object_id}/"),
        ("", "/"),
    ],
)
def test_a_route_is_a_template(pattern, expected):
    assert format_route(pattern) == expected
