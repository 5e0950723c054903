"""Registration and forgotten passwords, from the request through the e-mail's link to the login."""

from datetime import timedelta
from email import message_from_bytes, policy

import pytest
import time_machine
from django.core import mail
from django.utils import timezone

from helpdesk.emails.models import Email
from helpdesk.emails.tests.outbox import token_in
from helpdesk.users import actions
from helpdesk.users.account_tokens import make_password_reset_token
from helpdesk.users.models import Registration, User
from helpdesk.users.tasks import delete_expired_registrations
from helpdesk.users.tests.factories import PASSWORD, UserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("send_at_once")]

REGISTER, VERIFY = "/api/auth/register/", "/api/auth/email/verify/"
RESET, CONFIRM = "/api/auth/password/reset/", "/api/auth/password/reset/confirm/"
CAROL = {"username": "carol", "email": "carol@example.com", "password": PASSWORD, "name": "Carol"}
NEW_PASSWORD = "another horse entirely"


def login(api, username, password):
    return api().post("/api/auth/token/", {"username": username, "password": password}).status_code


def answer(response):
    """Return what a caller can tell answers apart by."""
    passing = {"X-Request-ID"}
    return response.status_code, response.content, {k: v for k, v in response.items() if k not in passing}


# Registration


def test_who_confirms_the_address_is_a_customer(api):
    response = api().post(REGISTER, CAROL)
    assert response.status_code == 202
    assert login(api, "carol", PASSWORD) == 401

    response = api().post(VERIFY, {"token": token_in(mail.outbox[0])})

    assert response.status_code == 204
    user = User.objects.get()
    assert (user.username, user.email, user.name, user.role) == ("carol", "carol@example.com", "Carol", "customer")
    assert login(api, "carol", PASSWORD) == 200
    assert not Registration.objects.exists()


def test_an_address_that_has_an_account_gets_the_same_answer_and_a_mail_without_a_token(api):
    UserFactory(username="dave", email="Carol@Example.com")

    known = api().post(REGISTER, CAROL)
    unknown = api().post(REGISTER, CAROL | {"username": "carla", "email": "carla@example.com"})

    assert answer(known) == answer(unknown)
    to_known, to_unknown = mail.outbox
    assert to_known.to == ["Carol@Example.com"]
    assert to_known.subject == to_unknown.subject
    assert "You already have an account" in to_known.body
    assert "dave" in to_known.body
    assert "#" not in to_known.body
    assert Registration.objects.count() == 2


def test_the_username_is_held_whether_the_address_is_known_or_not(api, customer):
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

    with time_machine.travel(timezone.now() + timedelta(hours=24, seconds=1)):
        response = api().post(REGISTER, CAROL | {"email": "other@example.com"})

    assert response.status_code == 202
    assert Registration.objects.get().email == "other@example.com"


def test_registrations_are_forgotten_at_night(api):
    api().post(REGISTER, CAROL)

    with time_machine.travel(timezone.now() + timedelta(hours=24, seconds=1)):
        assert delete_expired_registrations() == 1

    assert Email.objects.get().registration is None


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
def test_a_bad_registration_is_400_and_nothing_is_written_or_mailed(api, customer, change, pointer):
    response = api().post(REGISTER, CAROL | change)

    assert response.status_code == 400
    assert response.json()["errors"][0]["pointer"] == pointer
    assert not Registration.objects.exists()
    assert mail.outbox == []


def test_nobody_registers_as_an_agent(api):
    api().post(REGISTER, CAROL | {"role": "agent", "is_superuser": True})
    api().post(VERIFY, {"token": token_in(mail.outbox[0])})

    user = User.objects.get()
    assert (user.role, user.is_superuser) == ("customer", False)


def test_when_it_is_closed_nobody_registers(api, settings):
    settings.REGISTRATION_OPEN = False

    response = api().post(REGISTER, CAROL)

    assert (response.status_code, response.json()["code"]) == (403, "registration_closed")
    assert not Registration.objects.exists()


def test_a_confirmation_works_once_and_for_a_day(api):
    api().post(REGISTER, CAROL)
    token = token_in(mail.outbox[0])

    with time_machine.travel(timezone.now() + timedelta(hours=24, seconds=1)):
        assert api().post(VERIFY, {"token": token}).status_code == 400
    assert api().post(VERIFY, {"token": token}).status_code == 204
    again = api().post(VERIFY, {"token": token})

    assert (again.status_code, again.json()["errors"][0]["code"]) == (400, "bad_token")
    assert User.objects.count() == 1


def test_of_two_registrations_of_an_address_the_first_that_confirms_has_it(api):
    api().post(REGISTER, CAROL)
    api().post(REGISTER, CAROL | {"username": "carla"})
    first, second = map(token_in, mail.outbox)

    assert api().post(VERIFY, {"token": second}).status_code == 204
    assert api().post(VERIFY, {"token": first}).status_code == 400
    assert User.objects.get().username == "carla"


# A forgotten password


def test_the_mailed_link_sets_a_new_password_and_ends_all_tokens(api, customer):
    old = api(customer)

    assert api().post(RESET, {"email": "ALICE@example.com"}).status_code == 202
    (letter,) = mail.outbox
    response = api().post(CONFIRM, {"token": token_in(letter), "new_password": NEW_PASSWORD})

    assert response.status_code == 204
    assert letter.to == ["alice@example.com"]
    assert login(api, "alice", NEW_PASSWORD) == 200
    assert login(api, "alice", PASSWORD) == 401
    assert old.get("/api/users/me/").status_code == 401


def test_an_address_that_nobody_has_gets_the_same_answer_and_no_mail(api, customer):
    known = api().post(RESET, {"email": customer.email})
    unknown = api().post(RESET, {"email": "nobody@example.com"})

    assert answer(known) == answer(unknown)
    assert [letter.to for letter in mail.outbox] == [["alice@example.com"]]
    assert Email.objects.values("state", "error").get(address="nobody@example.com") == {
        "state": "withdrawn",
        "error": "Nobody has this address.",
    }


def test_who_was_deactivated_gets_no_link(api, customer):
    User.objects.update(is_active=False)

    api().post(RESET, {"email": customer.email})

    assert mail.outbox == []


@pytest.mark.parametrize(
    "end",
    [
        lambda user: actions.change_password(user, new_password="something else again"),
        lambda user: User.objects.update(email="elsewhere@example.com"),
        lambda user: User.objects.update(is_active=False),
        lambda user: User.objects.update(last_login=timezone.now()),
    ],
    ids=["a new password", "a new address", "deactivation", "a login"],
)
def test_a_link_dies_with(api, customer, end):
    token = make_password_reset_token(customer)
    end(customer)

    response = api().post(CONFIRM, {"token": token, "new_password": NEW_PASSWORD})

    assert (response.status_code, response.json()["errors"][0]["code"]) == (400, "bad_token")


def test_a_link_works_once_and_for_an_hour(api, customer):
    body = {"token": make_password_reset_token(customer), "new_password": NEW_PASSWORD}

    with time_machine.travel(timezone.now() + timedelta(hours=1, seconds=2)):
        assert api().post(CONFIRM, body).status_code == 400
    assert api().post(CONFIRM, body).status_code == 204
    assert api().post(CONFIRM, body).status_code == 400


@pytest.mark.parametrize("token", ["x", "-", "1-x", "zzzzzzzzzzzzzzzz-x", "é-1"])
def test_a_token_that_we_did_not_make_is_400(api, customer, token):
    assert api().post(CONFIRM, {"token": token, "new_password": NEW_PASSWORD}).status_code == 400
    assert api().post(VERIFY, {"token": token}).status_code == 400


def test_a_weak_password_leaves_the_link_alive(api, customer):
    token = make_password_reset_token(customer)

    weak = api().post(CONFIRM, {"token": token, "new_password": "password"})

    assert weak.json()["errors"][0]["pointer"] == "#/new_password"
    assert api().post(CONFIRM, {"token": token, "new_password": NEW_PASSWORD}).status_code == 204


def test_who_was_locked_out_by_wrong_passwords_is_let_in(api, customer):
    for _ in range(5):
        login(api, "alice", "wrong")
    assert login(api, "alice", PASSWORD) == 429

    api().post(CONFIRM, {"token": make_password_reset_token(customer), "new_password": NEW_PASSWORD})

    assert login(api, "alice", NEW_PASSWORD) == 200


# What both have in common


@pytest.mark.parametrize(("path", "body"), [(RESET, {}), (REGISTER, CAROL)])
def test_an_address_is_mailed_so_often_and_no_more_whoever_asks(api, customer, settings, path, body):
    settings.THROTTLE_MAIL_RATE = "2/hour"

    statuses = [
        api()
        .post(path, body | {"username": f"u{number}", "email": email}, REMOTE_ADDR=f"192.0.2.{number}")
        .status_code
        for number, email in enumerate(
            ["alice@example.com", "ALICE@example.com", "alice@example.com", "x@example.com"]
        )
    ]

    assert statuses == [202, 202, 429, 202]


@pytest.mark.parametrize(
    ("language", "sentences"),
    [
        ("en", ["Confirm your e-mail address", "Choose a new password"]),
        ("es", ["Confirme su correo electrónico", "Elija una contraseña nueva"]),
    ],
)
def test_they_are_html_and_text_in_the_language_of_the_request(api, customer, language, sentences):
    headers = {"Accept-Language": language}
    api().post(REGISTER, CAROL, headers=headers)
    api().post(RESET, {"email": customer.email}, headers=headers)

    for letter, sentence in zip(mail.outbox, sentences, strict=True):
        message = message_from_bytes(letter.message().as_bytes(), policy=policy.default)
        text, html = (part.get_content() for part in message.iter_parts())
        assert sentence in text
        assert sentence in html
        assert token_in(letter) in html
        assert message["List-Unsubscribe"] is None
        assert message["References"] is None


def test_the_admin_never_shows_a_token(api, client, agent, customer):
    client.force_login(agent)
    api().post(REGISTER, CAROL)
    api().post(RESET, {"email": customer.email})

    for email in Email.objects.all():
        page = client.get(f"/admin/emails/email/{email.pk}/change/").text
        assert "srcdoc" in page
        assert "verify-email" not in page
        assert "reset-password" not in page
