"""Password reset, from the request through the link in the e-mail to the login."""

from datetime import timedelta

import pytest
import time_machine
from django.core import mail
from django.utils import timezone

from helpdesk.testing import get_mailed_token, get_response_parts
from helpdesk.users import actions
from helpdesk.users.account_tokens import make_password_reset_token
from helpdesk.users.models import User
from helpdesk.users.tests.factories import PASSWORD

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("immediate_delivery")]

RESET, CONFIRM = "/api/auth/password/reset/", "/api/auth/password/reset/confirm/"
NEW_PASSWORD = "another horse entirely"


def login(api, password):
    return api().post("/api/auth/token/", {"username": "alice", "password": password}).status_code


def test_the_link_sets_a_new_password_and_revokes_all_tokens(api, customer):
    old = api(customer)

    assert api().post(RESET, {"email": "ALICE@example.com"}).status_code == 202
    (message,) = mail.outbox
    response = api().post(CONFIRM, {"token": get_mailed_token(message), "new_password": NEW_PASSWORD})

    assert response.status_code == 204
    assert message.to == ["alice@example.com"]
    assert login(api, NEW_PASSWORD) == 200
    assert login(api, PASSWORD) == 401
    assert old.get("/api/users/me/").status_code == 401


def test_an_address_without_an_account_gets_the_same_response_and_no_email(api, customer):
    known = api().post(RESET, {"email": customer.email})
    unknown = api().post(RESET, {"email": "nobody@example.com"})

    assert get_response_parts(known) == get_response_parts(unknown)
    assert [message.to for message in mail.outbox] == [["alice@example.com"]]


def test_an_inactive_user_gets_no_link(api, customer):
    User.objects.update(is_active=False)

    api().post(RESET, {"email": customer.email})

    assert mail.outbox == []


@pytest.mark.parametrize(
    "invalidate",
    [
        lambda user: actions.change_password(user, new_password="something else again"),
        lambda user: User.objects.update(email="elsewhere@example.com"),
        lambda user: User.objects.update(is_active=False),
        lambda user: User.objects.update(last_login=timezone.now()),
    ],
    ids=["a new password", "a new address", "deactivation", "a login"],
)
def test_a_link_is_invalidated_by(api, customer, invalidate):
    token = make_password_reset_token(customer)
    invalidate(customer)

    response = api().post(CONFIRM, {"token": token, "new_password": NEW_PASSWORD})

    assert (response.status_code, response.json()["errors"][0]["code"]) == (400, "bad_token")


def test_a_link_works_once_and_for_an_hour(api, customer):
    body = {"token": make_password_reset_token(customer), "new_password": NEW_PASSWORD}

    with time_machine.travel(timezone.now() + timedelta(hours=1, seconds=2)):
        assert api().post(CONFIRM, body).status_code == 400
    assert api().post(CONFIRM, body).status_code == 204
    assert api().post(CONFIRM, body).status_code == 400


@pytest.mark.parametrize("token", ["x", "-", "1-x", "zzzzzzzzzzzzzzzz-x", "é-1"])
def test_a_forged_token_is_400(api, customer, token):
    assert api().post(CONFIRM, {"token": token, "new_password": NEW_PASSWORD}).status_code == 400
    assert api().post("/api/auth/email/verify/", {"token": token}).status_code == 400


def test_a_weak_password_does_not_use_up_the_link(api, customer):
    token = make_password_reset_token(customer)

    weak = api().post(CONFIRM, {"token": token, "new_password": "password"})

    assert weak.json()["errors"][0]["pointer"] == "#/new_password"
    assert api().post(CONFIRM, {"token": token, "new_password": NEW_PASSWORD}).status_code == 204


def test_a_reset_ends_a_lockout(api, customer):
    for _ in range(5):
        login(api, "wrong")
    assert login(api, PASSWORD) == 429

    api().post(CONFIRM, {"token": make_password_reset_token(customer), "new_password": NEW_PASSWORD})

    assert login(api, NEW_PASSWORD) == 200
