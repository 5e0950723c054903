"""Too many failed logins lock a username, in the API and in the admin, where superusers see and unlock it."""

from datetime import timedelta

import pytest
import time_machine
from axes.models import AccessAttempt
from django.urls import reverse
from django.utils import timezone

from helpdesk.users.tests.factories import PASSWORD
from helpdesk.users.tests.login import log_in, log_in_to_admin

pytestmark = pytest.mark.django_db

FAILED_LOGINS = reverse("admin:axes_accessattempt_changelist")


def test_five_failures_lock_a_username_for_an_address_until_the_cool_off(customer, stranger):
    failures = [log_in("alice") for _ in range(5)]
    locked = log_in("alice", PASSWORD)

    assert [response.status_code for response in failures] == [401] * 5
    assert {response["Content-Type"] for response in (*failures, locked)} == {"application/problem+json"}
    assert (locked.status_code, locked.json()["code"], locked["Retry-After"]) == (429, "locked", "900")
    assert log_in("bob", PASSWORD).status_code == 200
    assert log_in("alice", PASSWORD, "192.0.2.7").status_code == 200
    with time_machine.travel(timezone.now() + timedelta(minutes=15, seconds=1)):
        assert log_in("alice", PASSWORD).status_code == 200


def test_the_admin_answers_the_failure_that_locks_and_later_ones_with_a_page(client, agent, settings):
    for _ in range(settings.AXES_FAILURE_LIMIT - 1):
        assert log_in_to_admin("agatha").status_code == 200

    for password in ("wrong", "wrong", PASSWORD):
        response = client.post(reverse("admin:login"), {"username": "agatha", "password": password})

        assert (response.status_code, response.headers["Retry-After"]) == (429, "900")
        assert "Too many failed logins." in response.text
        assert "for 15 minutes" in response.text
    assert client.get(reverse("admin:index")).status_code == 302


def test_failures_in_the_api_and_in_the_admin_count_together(agent, settings):
    for _ in range(settings.AXES_FAILURE_LIMIT - 1):
        log_in("agatha")

    assert log_in_to_admin("agatha").status_code == 429
    assert log_in("agatha", PASSWORD).status_code == 429


def test_failures_from_one_ipv6_network_count_together(customer):
    for number in range(5):
        assert log_in("alice", address=f"2001:db8:1:2::{number}").status_code == 401

    assert log_in("alice", PASSWORD, "2001:db8:1:2:ffff::1").status_code == 429
    assert log_in("alice", PASSWORD, "2001:db8:1:3::1").status_code == 200


def test_failures_from_many_addresses_lock_a_username_for_all_of_them(settings, customer, agent, checked):
    settings.LOGIN_FAILURE_LIMIT = 8
    for number in range(8):
        assert log_in("agatha", address=f"203.0.113.{number}").status_code == 401

    refused = [log_in("agatha", PASSWORD, "198.51.100.1"), log_in_to_admin("agatha", PASSWORD, "198.51.100.1")]

    assert [response.status_code for response in refused] == [429, 429]
    assert [response.headers["Retry-After"] for response in refused] == ["900", "900"]
    assert checked == ["agatha"] * 8
    assert log_in("alice", PASSWORD, "198.51.100.1").status_code == 200


def test_a_locked_address_does_not_use_up_the_limit_of_the_username(settings, customer, checked):
    settings.THROTTLE_LOGIN_RATE = "10/minute"

    for _ in range(20):
        log_in("alice")

    assert checked == ["alice"] * settings.AXES_FAILURE_LIMIT
    assert log_in("alice").json()["code"] == "locked"
    assert log_in("alice", PASSWORD, "203.0.113.9").status_code == 200


def test_a_login_resets_the_failures_of_its_own_address_only(settings, customer):
    for _ in range(4):
        log_in("alice", address="198.51.100.1")
    log_in("alice", PASSWORD, "198.51.100.1")
    assert log_in("alice", address="198.51.100.1").status_code == 401
    assert log_in("alice", PASSWORD, "198.51.100.1").status_code == 200

    settings.LOGIN_FAILURE_LIMIT = 3
    for number in range(2):
        log_in("alice", address=f"203.0.113.{number}")
    log_in("alice", PASSWORD, "198.51.100.1")

    assert log_in("alice", address="203.0.113.2").status_code == 401
    assert log_in("alice", PASSWORD, "198.51.100.1").status_code == 429


def test_a_failed_login_is_recorded_without_its_password(agent):
    log_in_to_admin("agatha", "almost right")

    assert "almost right" not in str(AccessAttempt.objects.values().get())


def test_a_superuser_unlocks_a_username_by_deleting_its_failures(office, agent, settings):
    for _ in range(settings.AXES_FAILURE_LIMIT):
        log_in_to_admin("agatha")
    assert log_in_to_admin("agatha", PASSWORD).status_code == 429
    (failures,) = office.get(FAILED_LOGINS).context["cl"].result_list

    page = office.get(reverse("admin:axes_accessattempt_change", args=[failures.pk]))
    deletion = {"action": "delete_selected", "_selected_action": [failures.pk], "post": "yes"}
    response = office.post(FAILED_LOGINS, deletion)

    assert (page.status_code, response.status_code) == (200, 302)
    assert not AccessAttempt.objects.exists()
    assert log_in_to_admin("agatha", PASSWORD).status_code == 302


@pytest.mark.parametrize("ticked", ["abc", "-1", "1\0"])
def test_invalid_ids_of_failed_logins_are_400(office, agent, ticked):
    log_in_to_admin("agatha")

    response = office.post(FAILED_LOGINS, {"action": "delete_selected", "_selected_action": [ticked], "post": "yes"})

    assert response.status_code == 400
    assert AccessAttempt.objects.count() == 1


def test_failed_logins_can_only_be_deleted(office, agent):
    log_in_to_admin("agatha")
    failure = AccessAttempt.objects.get()
    actions = dict(office.get(FAILED_LOGINS).context["action_form"].fields["action"].choices)

    response = office.post(FAILED_LOGINS, {"action": "cleanup_expired_attempts", "_selected_action": [failure.pk]})
    change = office.post(reverse("admin:axes_accessattempt_change", args=[failure.pk]), {"username": "alice"})

    assert set(actions) == {"", "delete_selected"}
    assert (response.status_code, change.status_code) == (302, 403)
    assert office.get(reverse("admin:axes_accessattempt_add")).status_code == 403
    assert AccessAttempt.objects.get().username == "agatha"
