"""Failed logins in the admin: superusers see them, and unlock a username by deleting its own."""

import pytest
from axes.models import AccessAttempt
from django.test import Client
from django.urls import reverse

from helpdesk.users.tests.factories import PASSWORD

pytestmark = pytest.mark.django_db

FAILED_LOGINS = reverse("admin:axes_accessattempt_changelist")


@pytest.fixture
def office(client, superuser):
    client.force_login(superuser)
    return client


def log_in(password):
    return Client().post(reverse("admin:login"), {"username": "agatha", "password": password})


def test_a_superuser_unlocks_a_username_by_deleting_its_failures(office, agent, settings):
    for _ in range(settings.AXES_FAILURE_LIMIT):
        log_in("wrong")
    assert log_in(PASSWORD).status_code == 429
    (failures,) = office.get(FAILED_LOGINS).context["cl"].result_list

    page = office.get(reverse("admin:axes_accessattempt_change", args=[failures.pk]))
    deletion = {"action": "delete_selected", "_selected_action": [failures.pk], "post": "yes"}
    answer = office.post(FAILED_LOGINS, deletion)

    assert (page.status_code, answer.status_code) == (200, 302)
    assert not AccessAttempt.objects.exists()
    assert log_in(PASSWORD).status_code == 302


@pytest.mark.parametrize("ticked", ["abc", "-1", "1\0"])
def test_failed_logins_that_cannot_be_are_not_deleted(office, agent, ticked):
    log_in("wrong")

    answer = office.post(FAILED_LOGINS, {"action": "delete_selected", "_selected_action": [ticked], "post": "yes"})

    assert answer.status_code == 400
    assert AccessAttempt.objects.count() == 1


def test_failed_logins_can_be_deleted_but_not_changed_and_nothing_else(office, agent):
    log_in("wrong")
    failure = AccessAttempt.objects.get()
    actions = dict(office.get(FAILED_LOGINS).context["action_form"].fields["action"].choices)

    answer = office.post(FAILED_LOGINS, {"action": "cleanup_expired_attempts", "_selected_action": [failure.pk]})
    change = office.post(reverse("admin:axes_accessattempt_change", args=[failure.pk]), {"username": "alice"})

    assert set(actions) == {"", "delete_selected"}
    assert (answer.status_code, change.status_code) == (302, 403)
    assert office.get(reverse("admin:axes_accessattempt_add")).status_code == 403
    assert AccessAttempt.objects.get().username == "agatha"
