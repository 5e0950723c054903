"""Rate limits: by user or network, also of concurrent requests, and of requests that are rejected otherwise."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
import time_machine
from django.urls import get_resolver
from rest_framework.test import APIClient

from helpdesk.tickets.tests.factories import TicketFactory
from helpdesk.users import credentials
from helpdesk.users.tests.factories import PASSWORD

ROOT, LOGIN, REFRESH, ME = "/api/", "/api/auth/token/", "/api/auth/token/refresh/", "/api/users/me/"
BAD_TOKEN = {"Authorization": "Bearer garbage"}
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
def limits(settings):
    settings.THROTTLE_ANON_RATE = "10/minute"
    settings.THROTTLE_USER_RATE = "5/minute"


def statuses(client, count, path=ROOT, **headers):
    return Counter(client.get(path, headers=headers).status_code for _ in range(count))


@pytest.mark.parametrize(("path", "accepted"), [(ROOT, 405), (LOGIN, 400), (REFRESH, 400)])
def test_of_100_requests_at_once_the_limit_is_accepted(limits, path, accepted):
    threads = 25
    together = Barrier(threads)

    def send_four_requests(_thread):
        client = APIClient()
        together.wait(timeout=30)
        return [client.post(path, {}).status_code for _ in range(4)]

    with ThreadPoolExecutor(threads) as pool:
        answers = Counter(status for four in pool.map(send_four_requests, range(threads)) for status in four)

    assert answers == {accepted: 10, 429: 90}


def test_a_429_has_the_time_after_which_requests_are_accepted_again(api, limits):
    with time_machine.travel(NOW, tick=False):
        answers = [api().get(ROOT) for _ in range(11)]
    with time_machine.travel(NOW + timedelta(seconds=59), tick=False):
        too_early = api().get(ROOT)
    with time_machine.travel(NOW + timedelta(seconds=60, microseconds=1), tick=False):
        in_time = api().get(ROOT)

    assert [answer.status_code for answer in answers] == [200] * 10 + [429]
    assert [answer.headers["RateLimit"] for answer in answers[8:]] == [
        '"anon";r=1;t=60',
        '"anon";r=0;t=60',
        '"anon";r=0;t=60',
    ]
    assert answers[-1].headers["RateLimit-Policy"] == '"anon";q=10;w=60'
    assert answers[-1].headers["Retry-After"] == "60"
    assert "Retry-After" not in answers[0].headers
    assert (too_early.status_code, too_early.headers["Retry-After"]) == (429, "1")
    assert in_time.status_code == 200


@pytest.mark.django_db
def test_a_user_has_one_limit_for_all_addresses(api, customer, stranger, limits):
    assert statuses(api(customer), 7, ME) == {200: 5, 429: 2}
    assert api(customer).get(ME, REMOTE_ADDR="203.0.113.9").status_code == 429
    assert statuses(api(stranger), 5, ME) == {200: 5}
    assert statuses(api(), 10) == {200: 10}


def test_without_trusted_proxies_no_header_multiplies_the_limit(api, limits, settings):
    settings.TRUSTED_PROXIES = 0

    answers = Counter(
        api().get(ROOT, headers={"X-Forwarded-For": f"203.0.113.{number}"}).status_code for number in range(40)
    )

    assert answers == {200: 10, 429: 30}


@pytest.mark.parametrize(
    ("proxies", "forwarded"),
    [(1, "{spoofed}, 203.0.113.7"), (2, "{spoofed}, 203.0.113.7, 10.0.0.1"), (1, "{spoofed}, , 203.0.113.7")],
)
def test_behind_proxies_only_the_address_that_they_add_counts(api, limits, settings, proxies, forwarded):
    settings.TRUSTED_PROXIES = proxies

    answers = Counter(
        api().get(ROOT, headers={"X-Forwarded-For": forwarded.format(spoofed=f"198.51.100.{number}")}).status_code
        for number in range(40)
    )
    other = forwarded.format(spoofed="203.0.113.7").replace(", 203.0.113.7", ", 203.0.113.8")

    assert answers == {200: 10, 429: 30}
    assert statuses(api(), 11, **{"X-Forwarded-For": other}) == {200: 10, 429: 1}


def test_the_addresses_of_an_ipv6_network_share_a_limit_and_other_networks_have_their_own(api, limits, settings):
    settings.TRUSTED_PROXIES = 1

    answers = Counter(
        api().get(ROOT, headers={"X-Forwarded-For": f"2001:db8:1:2::{number:x}"}).status_code for number in range(40)
    )

    assert answers == {200: 10, 429: 30}
    assert api().get(ROOT, headers={"X-Forwarded-For": "2001:db8:1:3::1"}).status_code == 200


@pytest.mark.parametrize("forwarded", [None, "", "garbage", "203.0.113.7, garbage", "'; DROP TABLE", "\xff", ","])
def test_behind_a_proxy_a_request_without_a_valid_header_counts_for_its_sender(api, limits, settings, forwarded):
    settings.TRUSTED_PROXIES = 1
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}

    assert statuses(api(), 11, **headers) == {200: 10, 429: 1}
    assert api().get(ROOT, headers=headers, REMOTE_ADDR="203.0.113.9").status_code == 200


@pytest.mark.django_db
def test_logins_are_limited_before_a_password_is_hashed(api, limits, monkeypatch):
    hashed = []
    monkeypatch.setattr(credentials, "authenticate", lambda request, **credentials: hashed.append(credentials))

    answers = [
        api().post(LOGIN, {"username": f"user_{number}", "password": "guess"}).status_code for number in range(30)
    ]

    assert answers == [401] * 10 + [429] * 20
    assert len(hashed) == 10


@pytest.mark.django_db
def test_guesses_of_ones_own_password_are_limited_too(api, customer, limits):
    guess = {"current_password": "guess", "new_password": "staple of the horse"}

    answers = [api(customer).post("/api/users/me/password/", guess).status_code for _ in range(6)]

    assert answers == [400] * 5 + [429]


@pytest.mark.django_db
def test_without_redis_reads_and_writes_are_not_limited(api, customer, limits, redis_down):
    ticket = {"title": "No sound", "description": "Since today."}

    assert statuses(api(customer), 8, "/api/tickets/") == {200: 8}
    assert statuses(api(), 12) == {200: 12}
    assert api(customer).post("/api/tickets/", ticket).status_code == 201


@pytest.mark.django_db
def test_without_redis_views_that_accept_secrets_are_unavailable(api, customer, limits, redis_down, monkeypatch):
    monkeypatch.setattr(credentials, "authenticate", None)
    passwords = {"current_password": PASSWORD, "new_password": "staple of the horse"}

    answers = [
        api().post(LOGIN, {"username": "alice", "password": PASSWORD}),
        api().post(REFRESH, {"refresh": "garbage"}),
        api(customer).post("/api/users/me/password/", passwords),
        *(
            api().post(f"/api/auth/{path}/", {})
            for path in ("logout", "register", "password/reset", "password/reset/confirm", "email/verify")
        ),
    ]

    assert [(answer.status_code, answer.headers["Retry-After"]) for answer in answers] == [(503, "2")] * 8
    assert {answer.headers["Content-Type"] for answer in answers} == {"application/problem+json"}


@pytest.mark.django_db
def test_without_redis_a_name_can_be_changed_and_an_address_cannot(api, customer, limits, redis_down, settings):
    settings.THROTTLE_MAIL_RATE = "5/hour"

    assert api(customer).patch(ME, {"name": "Alice C."}).status_code == 200
    assert api(customer).patch(ME, {"email": "alice@example.org", "current_password": PASSWORD}).status_code == 503
    assert api(customer).get(ME).json()["pending_email"] is None


@pytest.mark.django_db
def test_an_empty_rate_is_no_limit(api, customer, settings):
    settings.THROTTLE_ANON_RATE = settings.THROTTLE_USER_RATE = ""

    response = api().get(ROOT)

    assert statuses(api(), 30) == {200: 30}
    assert statuses(api(customer), 30, ME) == {200: 30}
    assert "RateLimit" not in response.headers


def test_requests_without_a_token_count_also_where_one_is_needed(api, limits):
    answers = Counter(api().get("/api/tickets/").status_code for _ in range(12))

    assert answers == {401: 10, 429: 2}


# Rejected requests


def api_paths():
    """Return the path of every route below /api/, with 1 for each number in it."""
    for name, value in get_resolver().reverse_dict.lists():
        for possibilities, *_rest in value:
            path, parameters = possibilities[0]
            if isinstance(name, str) and path.startswith("api/"):
                yield "/" + path % dict.fromkeys(parameters, "1")


def counted(response):
    """Return how many requests of the limit of 10 or 5 are used up, after one that listed one policy."""
    policy, remaining, _reset = response.headers["RateLimit"].split(";")
    return {'"anon"': 10, '"user"': 5}[policy] - int(remaining.removeprefix("r="))


@pytest.mark.parametrize("path", sorted({ROOT, "/metrics", *api_paths()}))
@pytest.mark.parametrize("method", ["get", "post", "options"])
@pytest.mark.django_db
def test_every_route_counts_a_request_with_a_bad_token_once_by_address(api, limits, method, path):
    first, second = (getattr(api(), method)(path, headers=BAD_TOKEN) for _ in range(2))

    assert (counted(first), counted(second)) == (1, 2)
    assert first.headers["RateLimit"].startswith('"anon"')


@pytest.mark.django_db
def test_past_the_limit_a_bad_token_is_429(api, limits):
    answers = [api().get("/api/tickets/", headers=BAD_TOKEN) for _ in range(12)]

    assert [answer.status_code for answer in answers] == [401] * 10 + [429] * 2
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 60
    assert answers[-1].json()["code"] == "throttled"
    assert "WWW-Authenticate" in answers[0].headers


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("method", "path", "accept", "refused"),
    [
        ("patch", "/api/tickets/{own}/", "*/*", 403),
        ("delete", "/api/tickets/{foreign}/", "*/*", 404),
        ("get", "/api/tickets/{foreign}/", "*/*", 404),
        ("get", "/api/tickets/{own}/", "text/html", 406),
        ("put", "/api/tickets/", "*/*", 405),
        ("get", "/api/health/", "*/*", 403),
        ("patch", "/api/users/me/", "text/html", 406),
    ],
)
def test_a_rejected_request_of_a_user_counts_once(api, customer, ticket, limits, method, path, accept, refused):
    path = path.format(own=ticket.pk, foreign=TicketFactory().pk)

    answers = [getattr(api(customer), method)(path, headers={"Accept": accept}) for _ in range(7)]

    assert [answer.status_code for answer in answers] == [refused] * 5 + [429] * 2
    assert [counted(answer) for answer in answers[:5]] == [1, 2, 3, 4, 5]
    assert api(customer).get(ME).status_code == 429
    assert api().get(ROOT).headers["RateLimit"] == '"anon";r=9;t=60'


@pytest.mark.django_db
def test_a_rejected_request_does_not_count_towards_the_mail_limit(api, limits, settings):
    settings.THROTTLE_MAIL_RATE = "5/hour"
    settings.REGISTRATION_OPEN = False

    response = api().post("/api/auth/register/", {"email": "ana@example.com"})

    assert (response.status_code, counted(response)) == (403, 1)


@pytest.mark.django_db
def test_a_request_past_one_limit_is_not_counted_by_the_next(api, limits, settings):
    settings.THROTTLE_MAIL_RATE = "100/hour"
    reset = {"email": "ana@example.com"}

    with time_machine.travel(NOW, tick=False):
        answers = [api().post("/api/auth/password/reset/", reset) for _ in range(12)]
        elsewhere = api().post("/api/auth/password/reset/", reset, REMOTE_ADDR="203.0.113.9")

    assert [answer.status_code for answer in answers] == [202] * 10 + [429] * 2
    assert elsewhere.headers["RateLimit-Policy"] == '"anon";q=10;w=60, "mail";q=100;w=3600'
    assert elsewhere.headers["RateLimit"] == '"anon";r=9;t=60, "mail";r=89;t=3600'


@pytest.mark.django_db
def test_without_redis_rejections_are_the_same(api, customer, ticket, limits, redis_down):
    assert api(customer).patch(f"/api/tickets/{ticket.pk}/", {}).status_code == 403
    assert api().get("/api/tickets/", headers=BAD_TOKEN).status_code == 401
