"""Passwords are tried within limits, and counted alike, wherever they are taken."""

import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.hashers import check_password
from django.db import connection
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from helpdesk.core.throttles import limiter
from helpdesk.users import credentials
from helpdesk.users.tests.factories import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db

API_LOGIN, API_CHANGE = "/api/auth/token/", "/api/users/me/password/"
ADMIN_LOGIN, ADMIN_CHANGE = reverse("admin:login"), reverse("admin:password_change")
NEW_PASSWORD = "staple correct battery"
NOBODY_LISTENS = "redis://127.0.0.1:1/0"


@pytest.fixture
def tried(monkeypatch):
    """The usernames whose password was tried."""
    names = []
    authenticate = credentials.authenticate

    def recording(request, **pair):
        names.append(pair["username"])
        return authenticate(request, **pair)

    monkeypatch.setattr(credentials, "authenticate", recording)
    return names


@pytest.fixture
def redis_down(settings):
    settings.CACHES = {"default": settings.CACHES["default"] | {"LOCATION": NOBODY_LISTENS}}
    settings.THROTTLE_ANON_RATE = "20/minute"
    limiter.cache_clear()
    yield
    limiter.cache_clear()


def enter(username, password="guess", address="127.0.0.1"):
    form = {"username": username, "password": password, "next": reverse("admin:index")}
    return Client().post(ADMIN_LOGIN, form, REMOTE_ADDR=address)


def log_in(username, password="guess", address="127.0.0.1"):
    return APIClient().post(API_LOGIN, {"username": username, "password": password}, REMOTE_ADDR=address)


def change_in_admin(client, old_password):
    new = {"new_password1": NEW_PASSWORD, "new_password2": NEW_PASSWORD}
    return client.post(ADMIN_CHANGE, {"old_password": old_password} | new)


def shown(response):
    """Return a page without what differs each time: the token of its form and the username that was typed."""
    return re.sub(r'value="[^"]*"', "", response.content.decode())


@pytest.mark.parametrize(
    ("username", "password"),
    [("a" * 151, "guess"), ("a" * 256, "guess"), ("a" * 5_000, "guess"), ("ali\0ce", "guess"), ("alice", "gu\0ess")],
)
def test_the_admin_answers_a_pair_that_nobody_can_have_without_trying_it(tried, username, password):
    response = enter(username, password)

    assert response.status_code == 200
    assert response.context["form"].errors
    assert tried == []
    assert not AccessAttempt.objects.exists()


def test_the_admin_answers_a_username_that_is_too_long_as_a_wrong_one(settings):
    settings.THROTTLE_ANON_RATE = "2/minute"

    wrong, too_long, refused = enter("a" * 150), enter("a" * 256), enter("a" * 256)

    assert wrong.context["form"].errors == too_long.context["form"].errors
    assert [answer.status_code for answer in (wrong, too_long, refused)] == [200, 200, 429]


# By address


def test_one_address_tries_so_many_names_in_the_admin_and_the_others_are_not_hashed(settings, tried):
    settings.THROTTLE_ANON_RATE = "10/minute"

    answers = [enter(f"user_{number}") for number in range(30)]

    assert [answer.status_code for answer in answers] == [200] * 10 + [429] * 20
    assert len(tried) == 10
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 60
    assert "Too many login attempts." in answers[-1].content.decode()
    assert enter("user_1", address="203.0.113.9").status_code == 200


def test_the_admin_and_the_api_count_an_address_together(settings, tried):
    settings.THROTTLE_ANON_RATE = "10/minute"

    answers = [enter(f"user_{number}").status_code for number in range(6)]
    answers += [log_in(f"customer_{number}").status_code for number in range(6)]

    assert answers == [200] * 6 + [401] * 4 + [429] * 2
    assert len(tried) == 10


def test_of_30_entries_at_once_the_limit_is_tried(settings, tried, transactional_db):
    settings.THROTTLE_ANON_RATE = "10/minute"
    together = Barrier(15)

    def enter_twice(thread):
        together.wait(timeout=30)
        try:
            return [enter(f"user_{thread}_{time}").status_code for time in range(2)]
        finally:
            connection.close()

    with ThreadPoolExecutor(15) as pool:
        answers = Counter(status for two in pool.map(enter_twice, range(15)) for status in two)

    assert answers == {200: 10, 429: 20}
    assert len(tried) == 10


# By username


def test_of_100_logins_at_once_from_everywhere_the_limit_of_the_name_is_tried(settings, tried, transactional_db):
    settings.THROTTLE_LOGIN_RATE = "12/minute"
    UserFactory(username="alice")
    together = Barrier(20)

    def log_in_five_times(thread):
        together.wait(timeout=30)
        try:
            return [log_in("alice", PASSWORD, f"203.0.113.{thread * 5 + n}").status_code for n in range(5)]
        finally:
            connection.close()

    with ThreadPoolExecutor(20) as pool:
        answers = Counter(status for five in pool.map(log_in_five_times, range(20)) for status in five)

    assert answers == {200: 12, 429: 88}
    assert len(tried) == 12


@pytest.mark.parametrize("attempt", [enter, log_in])
def test_a_name_is_tried_so_often_from_all_addresses_in_whatever_case(settings, tried, attempt):
    settings.THROTTLE_LOGIN_RATE = "3/minute"

    answers = [attempt(name, address=f"203.0.113.{n}") for n, name in enumerate(["Alice", "alice", "ALICE", "alice"])]

    assert answers[-1].status_code == 429
    assert len(tried) == 3
    assert attempt("bob").status_code in {200, 401}


def test_an_address_that_is_locked_out_does_not_use_up_the_limit_of_the_name(settings, customer):
    settings.THROTTLE_LOGIN_RATE = "10/minute"

    for _ in range(20):
        log_in("alice")

    assert log_in("alice").json()["code"] == "locked"
    assert log_in("alice", PASSWORD, "203.0.113.9").status_code == 200


def test_many_failures_from_many_addresses_lock_a_name_for_all_of_them(settings, customer, agent, tried):
    settings.LOGIN_FAILURE_LIMIT = 8
    for number in range(8):
        assert log_in("agatha", address=f"203.0.113.{number}").status_code == 401

    refused = [log_in("agatha", PASSWORD, "198.51.100.1"), enter("agatha", PASSWORD, "198.51.100.1")]

    assert [answer.status_code for answer in refused] == [429, 429]
    assert [answer.headers["Retry-After"] for answer in refused] == ["900", "900"]
    assert tried == ["agatha"] * 8
    assert log_in("alice", PASSWORD, "198.51.100.1").status_code == 200


def test_a_login_forgets_the_failures_of_its_own_address_alone(settings, customer):
    settings.LOGIN_FAILURE_LIMIT = 3
    for number in range(2):
        log_in("alice", address=f"203.0.113.{number}")

    log_in("alice", PASSWORD, "198.51.100.1")

    assert log_in("alice", address="203.0.113.2").status_code == 401
    assert log_in("alice", PASSWORD, "198.51.100.1").status_code == 429


# Who may not enter the admin


def test_the_admin_answers_a_customer_with_the_right_password_as_one_with_a_wrong_one(settings, customer, stranger):
    right = [enter("alice", PASSWORD) for _ in range(settings.AXES_FAILURE_LIMIT + 1)]
    wrong = [enter("bob", "guess") for _ in range(settings.AXES_FAILURE_LIMIT + 1)]

    assert [answer.status_code for answer in right] == [200] * (settings.AXES_FAILURE_LIMIT - 1) + [429] * 2
    assert [(answer.status_code, shown(answer)) for answer in right] == [
        (answer.status_code, shown(answer)) for answer in wrong
    ]
    assert set(AccessAttempt.objects.values_list("username", "failures_since_start")) == {
        ("alice", settings.AXES_FAILURE_LIMIT),
        ("bob", settings.AXES_FAILURE_LIMIT),
    }


def test_an_agent_enters_the_admin(agent):
    response = enter("agatha", PASSWORD)

    assert (response.status_code, response.headers["Location"]) == (302, reverse("admin:index"))


# Changing one's own password


def test_guesses_at_ones_own_password_lock_it_in_the_admin(client, agent, settings, tried):
    client.force_login(agent)

    answers = [change_in_admin(client, "guess").status_code for _ in range(settings.AXES_FAILURE_LIMIT + 3)]

    assert answers == [200] * (settings.AXES_FAILURE_LIMIT - 1) + [429] * 4
    assert len(tried) == settings.AXES_FAILURE_LIMIT
    assert change_in_admin(client, PASSWORD).status_code == 429
    agent.refresh_from_db()
    assert check_password(PASSWORD, agent.password)


def test_a_password_changed_in_the_admin_ends_the_tokens_and_keeps_the_session(client, api, agent):
    client.force_login(agent)
    script = api(agent)

    assert change_in_admin(client, PASSWORD).status_code == 302

    agent.refresh_from_db()
    assert check_password(NEW_PASSWORD, agent.password)
    assert script.get("/api/users/me/").status_code == 401
    assert client.get(reverse("admin:index")).status_code == 200


def test_a_changed_password_counts_towards_the_limit_of_the_name(api, customer, settings, tried):
    settings.THROTTLE_LOGIN_RATE = "2/minute"
    for number in range(2):
        log_in("alice", address=f"203.0.113.{number}")

    response = api(customer).post(API_CHANGE, {"current_password": PASSWORD, "new_password": NEW_PASSWORD})

    assert response.status_code == 429
    assert len(tried) == 2


# Without Redis


def test_without_redis_the_admin_tries_no_password(client, agent, redis_down, tried):
    entered = enter("agatha", PASSWORD)
    client.force_login(agent)
    changed = change_in_admin(client, PASSWORD)

    assert [answer.status_code for answer in (entered, changed)] == [503, 503]
    assert entered.headers["Retry-After"] == "2"
    assert "Login is temporarily unavailable." in entered.content.decode()
    assert tried == []
