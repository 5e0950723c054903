"""What Prometheus reads: who may, what of every process is in it, and how many series there can be."""

import pytest
from django.db import OperationalError, connection
from prometheus_client.parser import text_string_to_metric_families

from helpdesk.core import redis
from helpdesk.emails import actions
from helpdesk.emails.models import Email
from helpdesk.emails.tasks import send_email
from helpdesk.monitoring.metrics import BUCKETS_SECONDS, Count, counted, tallies
from helpdesk.monitoring.request_metrics import durations, readable
from helpdesk.tickets.announcer import Announcer

TOKEN = "a-token-of-our-monitoring-system"
NOBODY_LISTENS = "redis://127.0.0.1:1/0"


@pytest.fixture(autouse=True)
def nothing_counted():
    tallies.waiting.clear()


@pytest.fixture
def scrape(client, settings):
    """Return a function that returns all samples, by their names and sorted labels, as Prometheus reads them."""
    settings.HEALTH_TOKEN = TOKEN
    accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.1"

    def samples():
        tallies.hand_over()
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


@pytest.mark.parametrize(("who", "status"), [(None, 401), ("customer", 403), ("agent", 200)])
@pytest.mark.django_db
def test_only_agents_and_monitors_may_read_them(who, status, api, request):
    user = request.getfixturevalue(who) if who else None

    response = api(user).get("/metrics")

    assert response.status_code == status
    assert (b"helpdesk_" in response.content) == (status == 200)


@pytest.mark.parametrize("token", ["", "wrong", "Bearer"])
@pytest.mark.django_db
def test_another_token_than_the_monitors_is_refused(token, client, settings):
    settings.HEALTH_TOKEN = TOKEN

    response = client.get("/metrics", headers={"Authorization": f"Bearer {token}"})

    assert response.status_code == 401
    assert b"helpdesk_" not in response.content


def test_requests_are_counted_by_route_and_never_by_path(api, customer, ticket, scrape):
    for path in (f"/api/tickets/{ticket.pk}/", "/api/tickets/0/", "/api/tickets/0/?a=1"):
        api(customer).get(path)
    api(customer).post("/api/tickets/", {})
    api(customer).get("/a/strangers/guess")
    api(customer).generic("BREW", "/another")

    samples = scrape()

    assert {key: value for key, value in samples.items() if key[0] == "helpdesk_requests_total"} == {
        ("helpdesk_requests_total", "GET", "/api/tickets/{pk}/", "200"): 1,
        ("helpdesk_requests_total", "GET", "/api/tickets/{pk}/", "404"): 2,
        ("helpdesk_requests_total", "POST", "/api/tickets/", "400"): 1,
        ("helpdesk_requests_total", "GET", "none", "404"): 1,
        ("helpdesk_requests_total", "other", "none", "404"): 1,
    }
    assert samples["helpdesk_request_seconds_count", "GET", "/api/tickets/{pk}/"] == 3
    assert samples["helpdesk_request_seconds_bucket", "+Inf", "GET", "/api/tickets/{pk}/"] == 3
    assert samples["helpdesk_request_seconds_sum", "GET", "/api/tickets/{pk}/"] > 0


@pytest.mark.django_db
def test_a_duration_counts_up_to_each_limit_that_it_is_within(scrape):
    for seconds in (0.001, BUCKETS_SECONDS[0], 0.3, 60.0):
        tallies.add(durations.amounts(seconds, "GET", "/a/"))

    samples = scrape()

    found = [samples["helpdesk_request_seconds_bucket", str(limit), "GET", "/a/"] for limit in BUCKETS_SECONDS]
    assert found == [2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3]
    assert samples["helpdesk_request_seconds_bucket", "+Inf", "GET", "/a/"] == 4
    assert samples["helpdesk_request_seconds_sum", "GET", "/a/"] == pytest.approx(60.306)


@pytest.mark.django_db(transaction=True)
def test_events_and_emails_are_counted_where_they_are_told_and_sent(api, customer, agent, scrape):
    api(customer).post("/api/tickets/", {"title": "A teapot", "description": "418", "priority": "high"})
    Announcer().announce_all()
    send_email(Email.objects.get().pk)
    actions.log_outcome(Email(kind="comment_added"), "dead")

    samples = scrape()

    assert samples["helpdesk_events_announced_total", "ticket_created"] == 1
    assert samples["helpdesk_emails_total", "ticket_created", "sent"] == 1
    assert samples["helpdesk_emails_total", "comment_added", "dead"] == 1


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


def test_without_postgresql_monitors_still_read(scrape, monkeypatch):
    def refuse():
        raise OperationalError

    monkeypatch.setattr(connection, "cursor", refuse)

    assert scrape()["helpdesk_check_healthy", "postgresql_available"] == 0


@pytest.mark.django_db
def test_without_redis_nothing_counted_is_lost(api, customer, scrape, settings):
    caches = settings.CACHES
    settings.CACHES = {"default": caches["default"] | {"LOCATION": NOBODY_LISTENS}}
    api(customer).get("/api/users/me/")
    blind = scrape()
    settings.CACHES = caches
    redis.circuit.close()

    samples = scrape()

    assert blind["helpdesk_check_healthy", "redis_available"] == 0
    assert not any(key[0].startswith("helpdesk_requests") for key in blind)
    assert samples["helpdesk_requests_total", "GET", "/api/users/me/", "200"] == 1


@pytest.mark.django_db
def test_what_a_former_version_counted_under_other_labels_is_left_out(scrape):
    tallies.add({("helpdesk_requests_total", "GET"): 1})

    assert ("helpdesk_requests_total", "GET") not in scrape()


def test_names_are_those_of_prometheus():
    assert len(counted) == len({one.name for one in counted})
    for one in counted:
        assert one.name.startswith("helpdesk_")
        assert one.name.endswith("_total" if isinstance(one, Count) else "_seconds")


@pytest.mark.parametrize(
    ("route", "expected"),
    [
        ("api/^tickets/(?P<pk>[^/.]+)/$", "/api/tickets/{pk}/"),
        ("emails/unsubscribe/<str:token>/", "/emails/unsubscribe/{token}/"),
        ("admin/<path:object_id>/", "/admin/{object_id}/"),
        ("", "/"),
    ],
)
def test_a_route_is_readable(route, expected):
    assert readable(route) == expected
