"""A user's new e-mail address, from the profile through the confirmation link to the change."""

from datetime import timedelta

import pytest
import time_machine
from django.core import mail
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from helpdesk.testing import get_mailed_token
from helpdesk.users import actions
from helpdesk.users.account_tokens import make_address_change_token, make_password_reset_token
from helpdesk.users.models import AddressChange, Registration, User
from helpdesk.users.tasks import delete_expired_address_changes
from helpdesk.users.tests.factories import PASSWORD, UserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("immediate_delivery")]

ME, VERIFY, RESET = "/api/users/me/", "/api/auth/email/verify/", "/api/auth/password/reset/confirm/"
OLD, NEW = "alice@example.com", "alice@example.org"
MORE_THAN_A_DAY = timedelta(hours=24, seconds=1)


@pytest.fixture
def change_to(api, customer):
    """Return a function that requests an address for alice and returns the response."""
    return lambda email: api(customer).patch(ME, {"email": email, "current_password": PASSWORD})


def messages_to(address):
    return [message for message in mail.outbox if message.to == [address]]


def verify(api, message):
    """Return 204, or the error code, of the link in a message."""
    response = api().post(VERIFY, {"token": get_mailed_token(message)})
    return response.status_code if response.status_code == 204 else response.json()["errors"][0]["code"]


def address_of(user):
    return User.objects.get(pk=user.pk).email


def test_the_address_changes_when_its_link_is_followed(api, change_to, customer):
    response = change_to(NEW)
    assert (response.json()["email"], response.json()["pending_email"]) == (OLD, NEW)
    assert address_of(customer) == OLD

    (message,) = messages_to(NEW)
    assert verify(api, message) == 204

    after = api(customer).get(ME).json()
    assert (after["email"], after["pending_email"]) == (NEW, None)
    assert not AddressChange.objects.exists()


def test_a_confirmation_ends_every_session_but_the_one_that_requested_the_change(api, client, agent):
    requesting, other = (api(agent) for _ in range(2))
    client.force_login(agent)
    requesting.patch(ME, {"email": NEW, "current_password": PASSWORD})
    assert [session.get(ME).status_code for session in (requesting, other)] == [200, 200]

    assert verify(api, messages_to(NEW)[0]) == 204

    assert [session.get(ME).status_code for session in (requesting, other)] == [200, 401]
    assert client.get("/admin/").status_code == 302


def test_an_address_set_in_the_admin_ends_every_session(api, customer, superuser):
    session = api(customer)

    actions.update_user(customer.pk, changes={"email": NEW}, by=superuser)

    assert session.get(ME).status_code == 401


def test_an_address_with_an_account_gets_the_same_response_and_an_email_without_a_token(
    api, change_to, customer, stranger
):
    known = change_to("BOB@example.com")
    unknown = change_to("bib@example.com")

    assert known.json() | {"pending_email": ""} == unknown.json() | {"pending_email": ""}
    assert known.headers.keys() == unknown.headers.keys()
    (to_known,), (to_unknown,) = messages_to("bob@example.com"), messages_to("bib@example.com")
    assert to_known.subject == to_unknown.subject
    assert "your account bob" in to_known.body
    assert "alice" not in to_known.body
    assert "#" not in to_known.body
    assert not messages_to("BOB@example.com")


def test_an_address_that_another_account_got_in_the_meantime_is_refused(api, change_to, customer):
    change_to(NEW)
    UserFactory(email="ALICE@example.org")

    assert verify(api, messages_to(NEW)[0]) == "bad_token"
    assert address_of(customer) == OLD


def test_of_two_users_who_request_an_address_the_first_to_confirm_gets_it(api, change_to, customer, stranger):
    change_to(NEW)
    api(stranger).patch(ME, {"email": NEW, "current_password": PASSWORD})
    first, second = messages_to(NEW)

    assert verify(api, second) == 204
    assert verify(api, first) == "bad_token"
    assert (address_of(customer), address_of(stranger)) == (OLD, NEW)


def test_ones_own_address_in_another_spelling_is_confirmed_too(api, change_to, customer):
    change_to("Alice@example.com")
    assert address_of(customer) == OLD

    assert verify(api, messages_to("Alice@example.com")[0]) == 204
    assert address_of(customer) == "Alice@example.com"


def test_another_new_address_replaces_the_pending_one_and_invalidates_its_link(api, change_to, customer):
    change_to(NEW)
    response = change_to("third@example.com")

    assert response.json()["pending_email"] == "third@example.com"
    assert verify(api, messages_to(NEW)[0]) == "bad_token"
    assert verify(api, messages_to("third@example.com")[0]) == 204


def test_the_current_address_cancels_the_change_and_sends_nothing(api, change_to, customer):
    change_to(NEW)
    sent = len(mail.outbox)

    response = change_to(OLD)

    assert (response.json()["email"], response.json()["pending_email"]) == (OLD, None)
    assert len(mail.outbox) == sent
    assert verify(api, messages_to(NEW)[0]) == "bad_token"


def test_a_new_name_leaves_the_pending_address_alone(api, change_to, customer):
    change_to(NEW)

    response = api(customer).patch(ME, {"name": "Alice C."})

    assert response.json()["pending_email"] == NEW
    assert verify(api, messages_to(NEW)[0]) == 204
    assert User.objects.get().name == "Alice C."


@pytest.mark.parametrize(
    "cancel",
    [
        lambda user: actions.change_password(user, new_password="something else again"),
        lambda user: actions.update_user(user.pk, changes={"is_active": False}, by=user),
        lambda user: actions.update_user(user.pk, changes={"email": "elsewhere@example.com"}, by=user),
        lambda user: actions.reset_password(make_password_reset_token(user), new_password="something else again"),
    ],
    ids=["a new password", "deactivation", "an address from the admin", "a password reset"],
)
def test_a_pending_address_is_cancelled_by(api, change_to, customer, cancel):
    change_to(NEW)
    cancel(customer)
    address = address_of(customer)

    assert not AddressChange.objects.exists()
    assert verify(api, messages_to(NEW)[0]) == "bad_token"
    assert address_of(customer) == address


def test_a_user_who_was_deactivated_in_the_database_gets_no_address(api, change_to, customer):
    change_to(NEW)
    User.objects.update(is_active=False)

    assert verify(api, messages_to(NEW)[0]) == "bad_token"
    assert address_of(customer) == OLD


def test_a_link_works_once(api, change_to):
    change_to(NEW)

    assert [verify(api, messages_to(NEW)[0]) for _ in range(2)] == [204, "bad_token"]


def test_a_link_works_for_a_day_after_which_no_address_is_pending(api, change_to, customer):
    change_to(NEW)
    assert delete_expired_address_changes() == 0

    with time_machine.travel(timezone.now() + MORE_THAN_A_DAY):
        assert verify(api, messages_to(NEW)[0]) == "bad_token"
        assert api(customer).get(ME).json()["pending_email"] is None
        # An agent may have sent the e-mail again, with a new token.
        late = make_address_change_token(AddressChange.objects.get())
        assert api().post(VERIFY, {"token": late}).status_code == 400
        assert delete_expired_address_changes() == 1

    assert address_of(customer) == OLD


def test_a_token_is_valid_for_its_own_purpose_only(api, change_to, customer):
    change_to(NEW)
    token = get_mailed_token(messages_to(NEW)[0])
    registration = Registration.objects.create(
        pk=AddressChange.objects.get().pk, username="carol", email="carol@example.com", language="en"
    )

    assert api().post(RESET, {"token": token, "new_password": "another horse entirely"}).status_code == 400
    assert api().post(VERIFY, {"token": token}).status_code == 204
    assert Registration.objects.get() == registration
    assert address_of(customer) == NEW


def test_a_confirmation_locks_the_user(change_to):
    change_to(NEW)

    with CaptureQueriesContext(connection) as queries:
        actions.confirm_address(make_address_change_token(AddressChange.objects.get()))

    locks = [query["sql"] for query in queries if "FOR NO KEY UPDATE" in query["sql"]]
    assert '"users_addresschange"."id" = ' in locks[0]
    assert 'OF "users_user"' in locks[0]


def test_after_the_change_a_password_reset_works_with_the_new_address_only(api, change_to, customer):
    change_to(NEW)
    verify(api, messages_to(NEW)[0])
    mail.outbox.clear()

    for address in (OLD, NEW):
        api().post("/api/auth/password/reset/", {"email": address})

    assert [message.to for message in mail.outbox] == [[NEW]]
    assert api().post("/api/auth/token/", {"username": "alice", "password": PASSWORD}).status_code == 200


# Limits


def test_emails_to_a_new_address_are_limited_whoever_requests_them(api, settings):
    settings.THROTTLE_MAIL_RATE = "2/hour"
    addresses = [NEW, NEW.upper(), NEW, "third@example.com"]

    statuses = [
        api(UserFactory()).patch(ME, {"email": address, "current_password": PASSWORD}).status_code
        for address in addresses
    ]

    assert statuses == [200, 200, 429, 200]
    assert AddressChange.objects.count() == 3


def test_changes_of_a_user_are_limited_but_not_their_cancellation(api, change_to, customer, settings):
    settings.THROTTLE_MAIL_RATE = "2/hour"

    statuses = [change_to(f"{number}@example.com").status_code for number in range(3)]

    assert statuses == [200, 200, 429]
    assert len(messages_to(OLD)) == 2
    assert [change_to(OLD).status_code for _ in range(3)] == [200] * 3
    assert api(customer).patch(ME, {"name": "Alice C."}).status_code == 200


def test_a_refused_change_counts_neither_for_the_address_nor_for_the_user(api, change_to, customer, settings):
    settings.THROTTLE_MAIL_RATE = "1/hour"
    refused = [{}, {"current_password": ""}, {"current_password": "wrong"}, {"current_password": "wrong"}]

    statuses = [api(customer).patch(ME, {"email": NEW} | password).status_code for password in refused]

    assert statuses == [400] * 4
    assert [change_to(NEW).status_code for _ in range(2)] == [200, 429]


def test_a_change_past_the_limit_of_the_user_does_not_count_for_the_address(api, change_to, settings):
    settings.THROTTLE_MAIL_RATE = "1/hour"

    assert [change_to("third@example.com").status_code, change_to(NEW).status_code] == [200, 429]
    change = {"email": NEW, "current_password": PASSWORD}
    assert api(UserFactory()).patch(ME, change).status_code == 200


@pytest.mark.parametrize(("method", "path"), [("patch", ME), ("post", "/api/auth/password/reset/")])
def test_an_empty_address_is_400_and_counts_nothing(api, customer, settings, method, path):
    settings.THROTTLE_MAIL_RATE = "1/hour"
    body = {"email": "", "current_password": PASSWORD}

    assert [getattr(api(customer), method)(path, body).status_code for _ in range(3)] == [400] * 3
