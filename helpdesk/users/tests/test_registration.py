"""Registration, from the request through the link in the e-mail to the login."""

from datetime import timedelta

import pytest
import time_machine
from django.core import mail
from django.utils import timezone

from helpdesk.testing import get_mailed_token, get_response_parts
from helpdesk.users.models import Registration, User
from helpdesk.users.tasks import delete_expired_registrations
from helpdesk.users.tests.factories import PASSWORD, UserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("immediate_delivery")]

REGISTER, VERIFY = "/api/auth/register/", "/api/auth/email/verify/"
CAROL = {"username": "carol", "email": "carol@example.com", "password": PASSWORD, "name": "Carol"}
MORE_THAN_A_DAY = timedelta(hours=24, seconds=1)


def login(api, username):
    return api().post("/api/auth/token/", {"username": username, "password": PASSWORD}).status_code


def test_a_registration_becomes_a_customer_when_its_address_is_confirmed(api):
    response = api().post(REGISTER, CAROL)
    assert response.status_code == 202
    assert login(api, "carol") == 401

    response = api().post(VERIFY, {"token": get_mailed_token(mail.outbox[0])})

    assert response.status_code == 204
    user = User.objects.get()
    assert (user.username, user.email, user.name, user.role) == ("carol", "carol@example.com", "Carol", "customer")
    assert login(api, "carol") == 200
    assert not Registration.objects.exists()


def test_an_address_with_an_account_gets_the_same_response_and_an_email_without_a_token(api):
    UserFactory(username="dave", email="Carol@Example.com")

    known = api().post(REGISTER, CAROL)
    unknown = api().post(REGISTER, CAROL | {"username": "carla", "email": "carla@example.com"})

    assert get_response_parts(known) == get_response_parts(unknown)
    to_known, to_unknown = mail.outbox
    assert to_known.to == ["Carol@Example.com"]
    assert to_known.subject == to_unknown.subject
    assert "You already have an account" in to_known.body
    assert "dave" in to_known.body
    assert "#" not in to_known.body
    assert Registration.objects.count() == 2


def test_the_username_is_reserved_whether_or_not_the_address_has_an_account(api, customer):
    api().post(REGISTER, CAROL | {"email": customer.email})

    response = api().post(REGISTER, CAROL)

    assert response.status_code == 400
    assert response.json()["errors"][0] == {
        "pointer": "#/username",
        "code": "unique",
        "detail": "A user with that username already exists.",
    }


def test_the_username_is_free_again_after_a_day(api):
    api().post(REGISTER, CAROL)

    with time_machine.travel(timezone.now() + MORE_THAN_A_DAY):
        response = api().post(REGISTER, CAROL | {"email": "other@example.com"})

    assert response.status_code == 202
    assert Registration.objects.get().email == "other@example.com"


def test_expired_registrations_are_deleted(api):
    api().post(REGISTER, CAROL)
    assert delete_expired_registrations() == 0

    with time_machine.travel(timezone.now() + MORE_THAN_A_DAY):
        assert delete_expired_registrations() == 1


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"username": "alice"}, "#/username"),
        ({"username": "cárol"}, "#/username"),
        ({"name": "Carol\nBcc: x"}, "#/name"),
        ({"name": "Carol\u202e"}, "#/name"),
        ({"username": "a b"}, "#/username"),
        ({"username": "carol\n"}, "#/username"),
        ({"email": "nonsense"}, "#/email"),
        ({"password": "password"}, "#/password"),
        ({"password": "carol@example.com"}, "#/password"),
        ({"language": "xx"}, "#/language"),
    ],
)
def test_a_bad_registration_is_400_and_nothing_is_written_or_sent(api, customer, change, pointer):
    response = api().post(REGISTER, CAROL | change)

    assert response.status_code == 400
    assert response.json()["errors"][0]["pointer"] == pointer
    assert not Registration.objects.exists()
    assert mail.outbox == []


def test_nobody_registers_as_an_agent(api):
    api().post(REGISTER, CAROL | {"role": "agent", "is_superuser": True})
    api().post(VERIFY, {"token": get_mailed_token(mail.outbox[0])})

    user = User.objects.get()
    assert (user.role, user.is_superuser) == ("customer", False)


def test_closed_registration_is_403(api, settings):
    settings.REGISTRATION_OPEN = False

    response = api().post(REGISTER, CAROL)

    assert (response.status_code, response.json()["code"]) == (403, "registration_closed")
    assert not Registration.objects.exists()


def test_a_confirmation_link_works_once_and_for_a_day(api):
    api().post(REGISTER, CAROL)
    token = get_mailed_token(mail.outbox[0])

    with time_machine.travel(timezone.now() + MORE_THAN_A_DAY):
        assert api().post(VERIFY, {"token": token}).status_code == 400
    assert api().post(VERIFY, {"token": token}).status_code == 204
    again = api().post(VERIFY, {"token": token})

    assert (again.status_code, again.json()["errors"][0]["code"]) == (400, "bad_token")
    assert User.objects.count() == 1


def test_of_two_registrations_of_an_address_the_first_to_confirm_gets_it(api):
    api().post(REGISTER, CAROL)
    api().post(REGISTER, CAROL | {"username": "carla"})
    first, second = map(get_mailed_token, mail.outbox)

    assert api().post(VERIFY, {"token": second}).status_code == 204
    assert api().post(VERIFY, {"token": first}).status_code == 400
    assert User.objects.get().username == "carla"


@pytest.mark.parametrize(("path", "body"), [("/api/auth/password/reset/", {}), (REGISTER, CAROL)])
def test_emails_to_an_address_are_limited_whoever_requests_them(api, customer, settings, path, body):
    settings.THROTTLE_MAIL_RATE = "2/hour"
    addresses = ["alice@example.com", "ALICE@example.com", "alice@example.com", "x@example.com"]

    statuses = [
        api()
        .post(path, body | {"username": f"u{number}", "email": email}, REMOTE_ADDR=f"192.0.2.{number}")
        .status_code
        for number, email in enumerate(addresses)
    ]

    assert statuses == [202, 202, 429, 202]
