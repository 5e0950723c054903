"""Passwords: rate limits, the same in the API and in the admin, and logins to the admin."""

import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.hashers import check_password
from django.db import connection
from django.urls import reverse

from helpdesk.users.tests.factories import PASSWORD, UserFactory
from helpdesk.users.tests.login import log_in, log_in_to_admin

pytestmark = pytest.mark.django_db

API_CHANGE, ADMIN_CHANGE = "/api/users/me/password/", reverse("admin:password_change")
NEW_PASSWORD = "staple correct battery"


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
def test_the_admin_refuses_an_impossible_pair_without_checking_it(checked, username, password):
    response = log_in_to_admin(username, password)

    assert response.status_code == 200
    assert response.context["form"].errors
    assert checked == []
    assert not AccessAttempt.objects.exists()


def test_the_admin_answers_a_too_long_username_like_a_wrong_one(settings):
    settings.THROTTLE_ANON_RATE = "2/minute"

    wrong, too_long, refused = log_in_to_admin("a" * 150), log_in_to_admin("a" * 256), log_in_to_admin("a" * 256)

    assert wrong.context["form"].errors == too_long.context["form"].errors
    assert [answer.status_code for answer in (wrong, too_long, refused)] == [200, 200, 429]


# Limit by address


def test_past_the_limit_of_an_address_the_admin_hashes_nothing(settings, checked):
    settings.THROTTLE_ANON_RATE = "10/minute"

    answers = [log_in_to_admin(f"user_{number}") for number in range(30)]

    assert [answer.status_code for answer in answers] == [200] * 10 + [429] * 20
    assert len(checked) == 10
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 60
    assert "Too many login attempts." in answers[-1].content.decode()
    assert log_in_to_admin("user_1", address="203.0.113.9").status_code == 200


def test_the_admin_and_the_api_count_an_address_together(settings, checked):
    settings.THROTTLE_ANON_RATE = "10/minute"

    answers = [log_in_to_admin(f"user_{number}").status_code for number in range(6)]
    answers += [log_in(f"customer_{number}").status_code for number in range(6)]

    assert answers == [200] * 6 + [401] * 4 + [429] * 2
    assert len(checked) == 10


def test_of_30_concurrent_logins_in_the_admin_the_limit_is_checked(settings, checked, transactional_db):
    settings.THROTTLE_ANON_RATE = "10/minute"
    together = Barrier(15)

    def log_in_twice(thread):
        together.wait(timeout=30)
        try:
            return [log_in_to_admin(f"user_{thread}_{time}").status_code for time in range(2)]
        finally:
            connection.close()

    with ThreadPoolExecutor(15) as pool:
        answers = Counter(status for two in pool.map(log_in_twice, range(15)) for status in two)

    assert answers == {200: 10, 429: 20}
    assert len(checked) == 10


# Limit by username


def test_of_100_concurrent_logins_from_100_addresses_the_limit_of_the_username_is_checked(
    settings, checked, transactional_db
):
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
    assert len(checked) == 12


@pytest.mark.parametrize("attempt", [log_in_to_admin, log_in])
def test_the_limit_of_a_username_holds_for_all_addresses_and_ignores_case(settings, checked, attempt):
    settings.THROTTLE_LOGIN_RATE = "3/minute"

    answers = [attempt(name, address=f"203.0.113.{n}") for n, name in enumerate(["Alice", "alice", "ALICE", "alice"])]

    assert answers[-1].status_code == 429
    assert len(checked) == 3
    assert attempt("bob").status_code in {200, 401}


# Customers in the admin


def test_the_admin_answers_a_customers_right_password_like_a_wrong_one(settings, customer, stranger):
    right = [log_in_to_admin("alice", PASSWORD) for _ in range(settings.AXES_FAILURE_LIMIT + 1)]
    wrong = [log_in_to_admin("bob", "guess") for _ in range(settings.AXES_FAILURE_LIMIT + 1)]

    assert [answer.status_code for answer in right] == [200] * (settings.AXES_FAILURE_LIMIT - 1) + [429] * 2
    assert [(answer.status_code, shown(answer)) for answer in right] == [
        (answer.status_code, shown(answer)) for answer in wrong
    ]
    assert set(AccessAttempt.objects.values_list("username", "failures_since_start")) == {
        ("alice", settings.AXES_FAILURE_LIMIT),
        ("bob", settings.AXES_FAILURE_LIMIT),
    }


def test_an_agent_logs_in_to_the_admin(agent):
    response = log_in_to_admin("agatha", PASSWORD)

    assert (response.status_code, response.headers["Location"]) == (302, reverse("admin:index"))


# Changes of one's own password


def test_wrong_current_passwords_lock_the_username(client, agent, settings, checked):
    client.force_login(agent)

    answers = [change_in_admin(client, "guess").status_code for _ in range(settings.AXES_FAILURE_LIMIT + 3)]

    assert answers == [200] * (settings.AXES_FAILURE_LIMIT - 1) + [429] * 4
    assert len(checked) == settings.AXES_FAILURE_LIMIT
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


def test_a_password_change_counts_towards_the_limit_of_the_username(api, customer, settings, checked):
    settings.THROTTLE_LOGIN_RATE = "2/minute"
    for number in range(2):
        log_in("alice", address=f"203.0.113.{number}")

    response = api(customer).post(API_CHANGE, {"current_password": PASSWORD, "new_password": NEW_PASSWORD})

    assert response.status_code == 429
    assert len(checked) == 2


# Without Redis


def test_without_redis_the_admin_checks_no_password(client, agent, redis_down, checked, settings):
    settings.THROTTLE_ANON_RATE = "20/minute"
    entered = log_in_to_admin("agatha", PASSWORD)
    client.force_login(agent)
    changed = change_in_admin(client, PASSWORD)

    assert [answer.status_code for answer in (entered, changed)] == [503, 503]
    assert entered.headers["Retry-After"] == "2"
    assert "Login is temporarily unavailable." in entered.content.decode()
    assert checked == []
