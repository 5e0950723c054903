"""A user's new e-mail address, from the profile through the link that is mailed to it to the change."""

from datetime import timedelta
from email import message_from_bytes, policy

import pytest
import time_machine
from django.core import mail
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from helpdesk.emails import receivers
from helpdesk.emails.models import Email
from helpdesk.emails.tasks import send_email
from helpdesk.emails.tests.outbox import token_in
from helpdesk.users import actions
from helpdesk.users.account_tokens import make_address_change_token, make_password_reset_token
from helpdesk.users.models import AddressChange, Registration, User
from helpdesk.users.tasks import delete_expired_address_changes
from helpdesk.users.tests.factories import PASSWORD, UserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("send_at_once")]

ME, VERIFY, RESET = "/api/users/me/", "/api/auth/email/verify/", "/api/auth/password/reset/confirm/"
OLD, NEW = "alice@example.com", "alice@example.org"
A_DAY = timedelta(hours=24, seconds=1)


@pytest.fixture
def ask(api, customer):
    """Return a function by which alice asks for an address; it returns what she is answered."""
    return lambda email=NEW, **headers: api(customer).patch(
        ME, {"email": email, "current_password": PASSWORD}, **headers
    )


def mails_to(address):
    return [letter for letter in mail.outbox if letter.to == [address]]


def verify(api, letter):
    response = api().post(VERIFY, {"token": token_in(letter)})
    return response.status_code if response.status_code == 204 else response.json()["errors"][0]["code"]


def address_of(user):
    return User.objects.get(pk=user.pk).email


def test_the_address_changes_when_the_link_that_was_mailed_to_it_is_followed(api, ask, customer):
    response = ask()
    assert (response.json()["email"], response.json()["pending_email"]) == (OLD, NEW)
    assert address_of(customer) == OLD

    (letter,) = mails_to(NEW)
    assert verify(api, letter) == 204

    after = api(customer).get(ME).json()
    assert (after["email"], after["pending_email"]) == (NEW, None)
    assert not AddressChange.objects.exists()


def test_its_confirmation_ends_every_session_but_the_one_that_asked(api, client, agent):
    asking, other = (api(agent) for _ in range(2))
    client.force_login(agent)
    asking.patch(ME, {"email": NEW, "current_password": PASSWORD})
    assert [browser.get(ME).status_code for browser in (asking, other)] == [200, 200]

    assert verify(api, mails_to(NEW)[0]) == 204

    assert [browser.get(ME).status_code for browser in (asking, other)] == [200, 401]
    assert client.get("/admin/").status_code == 302


def test_an_address_from_the_admin_ends_every_session(api, customer, superuser):
    browser = api(customer)

    actions.update_user(customer.pk, changes={"email": NEW}, by=superuser)

    assert browser.get(ME).status_code == 401


def test_the_old_address_is_told_without_a_link_before_anything_changes(ask):
    ask()

    (notice,) = mails_to(OLD)
    html = notice.alternatives[0].content
    assert notice.subject == "Your e-mail address is to change"
    for text in (notice.body, html):
        assert "your account alice" in text
        assert "http" not in text


def test_the_notice_goes_to_the_old_address_also_when_the_new_one_was_confirmed_first(api, ask, customer, monkeypatch):
    monkeypatch.setattr(receivers.sending, "give", lambda email_ids: None)
    ask()
    actions.confirm_address(make_address_change_token(AddressChange.objects.get()))

    send_email(Email.objects.get(kind="address_change_notice").pk)

    assert [letter.to for letter in mail.outbox] == [[OLD]]
    assert address_of(customer) == NEW


def test_an_address_that_has_an_account_gets_the_same_answer_and_a_mail_without_a_token(api, ask, customer, stranger):
    known = ask("BOB@example.com")
    unknown = ask("bib@example.com")

    assert known.json() | {"pending_email": ""} == unknown.json() | {"pending_email": ""}
    assert known.headers.keys() == unknown.headers.keys()
    (to_known,), (to_unknown,) = mails_to("bob@example.com"), mails_to("bib@example.com")
    assert to_known.subject == to_unknown.subject
    assert "your account bob" in to_known.body
    assert "alice" not in to_known.body
    assert "#" not in to_known.body
    assert not mails_to("BOB@example.com")


def test_an_address_that_somebody_else_got_meanwhile_stays_theirs(api, ask, customer):
    ask()
    UserFactory(email="ALICE@example.org")

    assert verify(api, mails_to(NEW)[0]) == "bad_token"
    assert address_of(customer) == OLD


def test_of_two_users_who_want_an_address_the_first_that_confirms_has_it(api, ask, customer, stranger):
    ask()
    api(stranger).patch(ME, {"email": NEW, "current_password": PASSWORD})
    first, second = mails_to(NEW)

    assert verify(api, second) == 204
    assert verify(api, first) == "bad_token"
    assert (address_of(customer), address_of(stranger)) == (OLD, NEW)


def test_ones_own_address_in_another_spelling_is_confirmed_too(api, ask, customer):
    ask("Alice@example.com")
    assert address_of(customer) == OLD

    assert verify(api, mails_to("Alice@example.com")[0]) == 204
    assert address_of(customer) == "Alice@example.com"


def test_another_address_takes_the_place_of_the_one_that_waits_and_kills_its_link(api, ask, customer):
    ask()
    response = ask("third@example.com")

    assert response.json()["pending_email"] == "third@example.com"
    assert verify(api, mails_to(NEW)[0]) == "bad_token"
    assert verify(api, mails_to("third@example.com")[0]) == 204


def test_asking_for_the_present_address_cancels_and_mails_nobody(api, ask, customer):
    ask()
    mailed = len(mail.outbox)

    response = ask(OLD)

    assert (response.json()["email"], response.json()["pending_email"]) == (OLD, None)
    assert len(mail.outbox) == mailed
    assert verify(api, mails_to(NEW)[0]) == "bad_token"


def test_another_name_leaves_the_pending_address_alone(api, ask, customer):
    ask()

    response = api(customer).patch(ME, {"name": "Alice C."})

    assert response.json()["pending_email"] == NEW
    assert verify(api, mails_to(NEW)[0]) == 204
    assert User.objects.get().name == "Alice C."


def save_as_the_admin_does(user, **changes):
    actions.update_user(user.pk, changes=changes, by=user)


@pytest.mark.parametrize(
    "end",
    [
        lambda user: actions.change_password(user, new_password="something else again"),
        lambda user: save_as_the_admin_does(user, is_active=False),
        lambda user: save_as_the_admin_does(user, email="elsewhere@example.com"),
        lambda user: actions.reset_password(make_password_reset_token(user), new_password="something else again"),
    ],
    ids=["a new password", "deactivation", "an address from the admin", "a password that was reset"],
)
def test_what_waits_and_its_link_die_with(api, ask, customer, end):
    ask()
    end(customer)
    address = address_of(customer)

    assert not AddressChange.objects.exists()
    assert verify(api, mails_to(NEW)[0]) == "bad_token"
    assert address_of(customer) == address


def test_nobody_who_was_deactivated_in_the_database_gets_an_address(api, ask, customer):
    ask()
    User.objects.update(is_active=False)

    assert verify(api, mails_to(NEW)[0]) == "bad_token"
    assert address_of(customer) == OLD


def test_a_link_works_once(api, ask):
    ask()

    assert [verify(api, mails_to(NEW)[0]) for _ in range(2)] == [204, "bad_token"]


def test_a_link_works_for_a_day_after_which_nothing_waits(api, ask, customer):
    ask()

    with time_machine.travel(timezone.now() + A_DAY):
        assert verify(api, mails_to(NEW)[0]) == "bad_token"
        assert api(customer).get(ME).json()["pending_email"] is None
        # As an agent may have had it sent again.
        late = make_address_change_token(AddressChange.objects.get())
        assert api().post(VERIFY, {"token": late}).status_code == 400
        assert delete_expired_address_changes() == 1

    assert address_of(customer) == OLD


def test_what_still_waits_is_kept_at_night(ask):
    ask()

    assert delete_expired_address_changes() == 0


@pytest.mark.parametrize("ended", [A_DAY, None], ids=["it is too late", "it was cancelled"])
def test_a_link_that_would_be_dead_is_not_mailed(ask, ended, monkeypatch):
    monkeypatch.setattr(receivers.sending, "give", lambda email_ids: None)
    ask()
    if ended is None:
        ask(OLD)

    with time_machine.travel(timezone.now() + (ended or timedelta())):
        send_email(Email.objects.get(kind="address_change").pk)

    assert mail.outbox == []
    assert Email.objects.values("state", "error").get(kind="address_change") == {
        "state": "withdrawn",
        "error": "The change of address has ended.",
    }


def test_a_token_is_good_for_what_it_was_made_for_only(api, ask, customer):
    ask()
    token = token_in(mails_to(NEW)[0])
    registration = Registration.objects.create(
        pk=AddressChange.objects.get().pk, username="carol", email="carol@example.com", language="en"
    )

    assert api().post(RESET, {"token": token, "new_password": "another horse entirely"}).status_code == 400
    assert api().post(VERIFY, {"token": token}).status_code == 204
    assert Registration.objects.get() == registration
    assert address_of(customer) == NEW


def test_a_confirmation_waits_for_whoever_changes_the_user_at_the_same_time(ask):
    ask()

    with CaptureQueriesContext(connection) as queries:
        actions.confirm_address(make_address_change_token(AddressChange.objects.get()))

    locks = [query["sql"] for query in queries if "FOR NO KEY UPDATE" in query["sql"]]
    assert '"users_addresschange"."id" = ' in locks[0]
    assert 'OF "users_user"' in locks[0]


def test_the_new_address_works_for_a_forgotten_password_and_the_old_one_does_not(api, ask, customer):
    ask()
    verify(api, mails_to(NEW)[0])
    mail.outbox.clear()

    for address in (OLD, NEW):
        api().post("/api/auth/password/reset/", {"email": address})

    assert [letter.to for letter in mail.outbox] == [[NEW]]
    assert api().post("/api/auth/token/", {"username": "alice", "password": PASSWORD}).status_code == 200


# Limits


def test_an_address_is_asked_so_often_and_no_more_whoever_asks(api, settings):
    settings.THROTTLE_MAIL_RATE = "2/hour"
    addresses = [NEW, NEW.upper(), NEW, "third@example.com"]

    statuses = [
        api(UserFactory()).patch(ME, {"email": address, "current_password": PASSWORD}).status_code
        for address in addresses
    ]

    assert statuses == [200, 200, 429, 200]
    assert AddressChange.objects.count() == 3


def test_a_user_asks_for_so_many_addresses_and_no_more_and_can_still_cancel(api, ask, customer, settings):
    settings.THROTTLE_MAIL_RATE = "2/hour"

    statuses = [ask(f"{number}@example.com").status_code for number in range(3)]

    assert statuses == [200, 200, 429]
    assert len(mails_to(OLD)) == 2
    assert [ask(OLD).status_code for _ in range(3)] == [200] * 3
    assert api(customer).patch(ME, {"name": "Alice C."}).status_code == 200


def test_a_refused_change_counts_neither_for_the_address_nor_for_the_user(api, ask, customer, settings):
    settings.THROTTLE_MAIL_RATE = "1/hour"
    refused = [{}, {"current_password": ""}, {"current_password": "wrong"}, {"current_password": "wrong"}]

    statuses = [api(customer).patch(ME, {"email": NEW} | password).status_code for password in refused]

    assert statuses == [400] * 4
    assert [ask(NEW).status_code for _ in range(2)] == [200, 429]


def test_a_change_past_the_limit_of_the_user_does_not_count_for_the_address(api, ask, settings):
    settings.THROTTLE_MAIL_RATE = "1/hour"

    assert [ask("third@example.com").status_code, ask(NEW).status_code] == [200, 429]
    change = {"email": NEW, "current_password": PASSWORD}
    assert api(UserFactory()).patch(ME, change).status_code == 200


@pytest.mark.parametrize(("method", "path"), [("patch", ME), ("post", "/api/auth/password/reset/")])
def test_no_address_is_invalid_and_counts_nothing(api, customer, settings, method, path):
    settings.THROTTLE_MAIL_RATE = "1/hour"
    body = {"email": "", "current_password": PASSWORD}

    assert [getattr(api(customer), method)(path, body).status_code for _ in range(3)] == [400] * 3


# What is mailed


@pytest.mark.parametrize(
    ("language", "sentences"),
    [
        ("en", ["Your e-mail address is to change", "Confirm your new e-mail address", "already has an account"]),
        ("es", ["Su correo electrónico va a cambiar", "Confirme su nuevo correo electrónico", "ya tiene una cuenta"]),
    ],
)
def test_they_are_html_and_text_in_the_language_of_the_user(ask, customer, stranger, language, sentences):
    User.objects.update(language=language)
    ask()
    ask(stranger.email)
    letters = [mails_to(OLD)[0], mails_to(NEW)[0], mails_to(stranger.email)[0]]

    for letter, sentence in zip(letters, sentences, strict=True):
        message = message_from_bytes(letter.message().as_bytes(), policy=policy.default)
        text, html = (part.get_content() for part in message.iter_parts())
        assert sentence in text
        assert sentence in html
        assert f'<html lang="{language}">' in html
        assert message["List-Unsubscribe"] is None
    assert token_in(letters[1]) in letters[1].alternatives[0].content


def test_the_admin_never_shows_a_token(ask, client, agent):
    client.force_login(agent)
    ask()

    for email in Email.objects.all():
        page = client.get(f"/admin/emails/email/{email.pk}/change/").text
        assert "srcdoc" in page
        assert "alice" in page
        assert "verify-email" not in page


def test_a_preview_outlives_the_change(ask, client, agent):
    client.force_login(agent)
    ask()
    ask(OLD)

    page = client.get(f"/admin/emails/email/{Email.objects.get(kind='address_change').pk}/change/").text

    assert "The account … gets this e-mail address" in page
