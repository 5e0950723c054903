"""E-mails about accounts: what they say, when they are cancelled, and that the admin shows none of their tokens."""

from datetime import timedelta
from email import message_from_bytes, policy

import pytest
import time_machine
from django.core import mail
from django.utils import timezone

from helpdesk.emails.models import Email
from helpdesk.emails.tasks import send_emails
from helpdesk.testing import get_mailed_token
from helpdesk.users import actions
from helpdesk.users.account_tokens import make_address_change_token
from helpdesk.users.models import AddressChange, Registration, User
from helpdesk.users.tests.factories import PASSWORD

pytestmark = pytest.mark.django_db

OLD, NEW = "alice@example.com", "alice@example.org"
CAROL = {"username": "carol", "email": "carol@example.com", "password": PASSWORD, "name": "Carol"}


@pytest.fixture
def register(api):
    return lambda **headers: api().post("/api/auth/register/", CAROL, headers=headers)


@pytest.fixture
def request_reset(api):
    return lambda email, **headers: api().post("/api/auth/password/reset/", {"email": email}, headers=headers)


@pytest.fixture
def change_to(api, customer):
    """Return a function that requests an address for alice."""
    return lambda email: api(customer).patch("/api/users/me/", {"email": email, "current_password": PASSWORD})


def message_to(address):
    (message,) = [message for message in mail.outbox if message.to == [address]]
    return message


def outcome_of(**fields):
    return Email.objects.values_list("state", "error").get(**fields)


def check_content(message, language, sentence):
    """Assert that HTML and text say the same in a language, and that no header offers to unsubscribe."""
    parsed = message_from_bytes(message.message().as_bytes(), policy=policy.default)
    text, html = (part.get_content() for part in parsed.iter_parts())
    assert sentence in text
    assert sentence in html
    assert f'<html lang="{language}">' in html
    assert parsed["List-Unsubscribe"] is None
    assert parsed["References"] is None


@pytest.mark.usefixtures("immediate_delivery")
@pytest.mark.parametrize(
    ("language", "sentences"),
    [
        ("en", ["Confirm your address to activate your account", "Reset your password"]),
        ("es", ["Confirme su dirección para activar su cuenta", "Restablezca su contraseña"]),
    ],
)
def test_they_are_html_and_text_in_the_language_of_the_request(register, request_reset, customer, language, sentences):
    headers = {"Accept-Language": language}
    register(**headers)
    request_reset(customer.email, **headers)

    for message, sentence in zip(mail.outbox, sentences, strict=True):
        check_content(message, language, sentence)
        assert get_mailed_token(message) in message.alternatives[0].content


@pytest.mark.usefixtures("immediate_delivery")
@pytest.mark.parametrize(
    ("language", "sentences"),
    [
        ("en", ["Your e-mail address is about to change", "Confirm your new address", "already has an account"]),
        ("es", ["Su dirección de correo va a cambiar", "Confirme su nueva dirección", "ya tiene una cuenta"]),
    ],
)
def test_those_of_a_new_address_are_in_the_language_of_the_user(change_to, customer, stranger, language, sentences):
    User.objects.update(language=language)
    change_to(NEW)
    notice, link = message_to(OLD), message_to(NEW)
    change_to(stranger.email)

    for message, sentence in zip([notice, link, message_to(stranger.email)], sentences, strict=True):
        check_content(message, language, sentence)
    assert get_mailed_token(link) in link.alternatives[0].content


@pytest.mark.usefixtures("immediate_delivery")
def test_the_notice_to_the_current_address_has_no_link(change_to):
    change_to(NEW)

    notice = message_to(OLD)
    assert notice.subject == "Your e-mail address is about to change"
    for text in (notice.body, notice.alternatives[0].content):
        assert "your account alice" in text
        assert "http" not in text


def test_the_notice_goes_to_the_old_address_even_if_the_new_one_is_confirmed_first(change_to, customer):
    change_to(NEW)
    actions.confirm_address(make_address_change_token(AddressChange.objects.get()))

    send_emails([Email.objects.get(kind="address_change_notice").pk])

    assert [message.to for message in mail.outbox] == [[OLD]]
    assert User.objects.get(pk=customer.pk).email == NEW


@pytest.mark.usefixtures("immediate_delivery")
def test_an_address_without_an_account_cancels_the_password_reset(request_reset):
    request_reset("nobody@example.com")

    assert outcome_of(address="nobody@example.com") == ("cancelled", "Nobody has this address.")


@pytest.mark.parametrize("delay", [timedelta(hours=24, seconds=1), None], ids=["it has expired", "it was cancelled"])
def test_a_link_to_a_change_that_has_ended_is_not_sent(change_to, delay):
    change_to(NEW)
    if delay is None:
        change_to(OLD)

    with time_machine.travel(timezone.now() + (delay or timedelta())):
        send_emails([Email.objects.get(kind="address_change").pk])

    assert mail.outbox == []
    assert outcome_of(kind="address_change") == ("cancelled", "The change of address has ended.")


def test_an_email_outlives_its_registration(register):
    register()
    Registration.objects.all().delete()

    assert Email.objects.get().registration is None


@pytest.mark.usefixtures("immediate_delivery")
def test_the_admin_never_shows_a_token(register, request_reset, change_to, client, agent, customer):
    client.force_login(agent)
    register()
    request_reset(customer.email)
    change_to(NEW)

    kinds = set()
    for email in Email.objects.all():
        page = client.get(f"/admin/emails/email/{email.pk}/change/").text
        assert "srcdoc" in page
        assert "carol" in page or "alice" in page
        assert "verify-email" not in page
        assert "reset-password" not in page
        kinds.add(email.kind)
    assert kinds == {"registration", "password_reset", "address_change", "address_change_notice"}


@pytest.mark.usefixtures("immediate_delivery")
def test_a_preview_outlives_the_change(change_to, client, agent):
    client.force_login(agent)
    change_to(NEW)
    change_to(OLD)

    page = client.get(f"/admin/emails/email/{Email.objects.get(kind='address_change').pk}/change/").text

    assert "the account …" in page
