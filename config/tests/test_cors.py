"""Pages of other hosts use the API only when their origin is listed, and never with cookies."""

import pytest

ORIGIN = "https://app.example.com"
HEADERS = {"authorization", "content-type", "idempotency-key"}
PREFLIGHT = {"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": ",".join(HEADERS)}


@pytest.fixture(autouse=True)
def listed(settings):
    settings.CORS_ALLOWED_ORIGINS = [ORIGIN]


def cors_headers(response):
    return {name: value for name, value in response.headers.items() if name.lower().startswith("access-control-")}


def test_a_listed_origin_reads_answers_and_the_headers_that_clients_need(api, customer):
    response = api(customer).get("/api/tickets/", headers={"Origin": ORIGIN})

    assert response.status_code == 200
    assert cors_headers(response) == {
        "access-control-allow-origin": ORIGIN,
        "access-control-expose-headers": "Idempotency-Replayed, RateLimit, RateLimit-Policy, Retry-After, X-Request-ID",
    }
    assert "origin" in response.headers["Vary"]


def test_a_listed_origin_reads_refusals_too(api, db):
    response = api().get("/api/tickets/", headers={"Origin": ORIGIN})

    assert response.status_code == 401
    assert response.headers["access-control-allow-origin"] == ORIGIN


def test_a_preflight_is_answered_without_a_token(api):
    response = api().options("/api/tickets/1/", headers={"Origin": ORIGIN} | PREFLIGHT)

    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert "PATCH" in response.headers["access-control-allow-methods"]
    assert set(response.headers["access-control-allow-headers"].split(", ")) >= HEADERS
    assert "access-control-allow-credentials" not in response.headers


@pytest.mark.parametrize("origin", ["https://evil.example.com", "http://app.example.com", f"{ORIGIN}:444", "null"])
def test_an_origin_that_is_not_listed_is_told_nothing(api, customer, origin):
    read = api(customer).get("/api/tickets/", headers={"Origin": origin})
    preflight = api().options("/api/tickets/1/", headers={"Origin": origin} | PREFLIGHT)

    assert (cors_headers(read), cors_headers(preflight)) == ({}, {})


def test_without_an_origin_nothing_is_said(api, customer):
    assert cors_headers(api(customer).get("/api/tickets/")) == {}


def test_no_origin_is_listed_by_default(api, customer, settings):
    settings.CORS_ALLOWED_ORIGINS = []

    assert cors_headers(api(customer).get("/api/tickets/", headers={"Origin": ORIGIN})) == {}


@pytest.mark.parametrize("path", ["/", "/admin/login/", "/readyz"])
def test_only_the_api_is_for_other_hosts(client, db, path):
    assert cors_headers(client.get(path, headers={"Origin": ORIGIN})) == {}
