"""Login, refresh and logout; expiry and revocation of tokens."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import time_machine
from django.contrib.auth.hashers import Argon2PasswordHasher, identify_hasher, make_password
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken

from helpdesk.users import actions
from helpdesk.users.authentication import TokenRejected, get_token_user
from helpdesk.users.hashers import OwaspArgon2PasswordHasher
from helpdesk.users.models import User
from helpdesk.users.signals import tokens_revoked
from helpdesk.users.tasks import delete_expired_tokens
from helpdesk.users.tests.factories import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db

LOGIN, REFRESH, LOGOUT = "/api/auth/token/", "/api/auth/token/refresh/", "/api/auth/logout/"


def login(api, username="alice", password=PASSWORD):
    return api().post(LOGIN, {"username": username, "password": password})


def status_with(api, access):
    client = api()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {access}")
    return client.get("/api/users/me/").status_code


def test_login_returns_an_access_and_a_refresh_token(api, customer):
    response = login(api)

    assert response.status_code == 200
    assert response.json().keys() == {"access", "refresh"}
    assert status_with(api, response.json()["access"]) == 200


def test_access_lives_an_hour_and_refresh_seven_days(api, customer):
    # They are signed one after the other, perhaps in two seconds.
    with time_machine.travel(timezone.now(), tick=False):
        tokens = login(api).json()

    lifetimes = [
        token["exp"] - token["iat"] for token in (AccessToken(tokens["access"]), RefreshToken(tokens["refresh"]))
    ]

    assert lifetimes == [3600, 7 * 24 * 3600]


@pytest.mark.parametrize(("username", "password"), [("alice", "wrong"), ("nobody", PASSWORD), ("Alice", PASSWORD)])
def test_wrong_credentials_are_401_and_do_not_say_which_half_is_wrong(api, customer, username, password):
    response = login(api, username, password)

    assert response.status_code == 401
    assert response["WWW-Authenticate"] == 'Bearer realm="api"'
    assert response.json()["detail"] == "No active account found with the given credentials"


@pytest.mark.parametrize(
    "body",
    [{}, {"username": "alice"}, {"username": ["alice"], "password": {}}, {"username": "alice", "password": "x" * 129}],
)
def test_a_bad_login_body_is_400(api, customer, body):
    assert api().post(LOGIN, body).status_code == 400


@pytest.mark.parametrize(
    "authorization", ["Bearer x", "Bearer", "Bearer a b", "Token x", "", "Bearer ñ".encode("latin1")]
)
def test_a_bad_token_is_401_with_a_challenge(api, customer, authorization):
    client = api()
    client.credentials(HTTP_AUTHORIZATION=authorization)

    response = client.get("/api/tickets/")

    assert response.status_code == 401
    assert response["WWW-Authenticate"].startswith("Bearer")


def test_a_refresh_token_authenticates_no_request(api, customer):
    assert status_with(api, login(api).json()["refresh"]) == 401


def test_an_access_token_cannot_be_refreshed(api, customer):
    assert api().post(REFRESH, {"refresh": login(api).json()["access"]}).status_code == 401


def test_a_refresh_token_works_once(api, customer):
    tokens = login(api).json()

    first = api().post(REFRESH, {"refresh": tokens["refresh"]})

    assert first.status_code == 200
    assert status_with(api, first.json()["access"]) == 200
    assert api().post(REFRESH, {"refresh": first.json()["refresh"]}).status_code == 200
    assert api().post(REFRESH, {"refresh": tokens["refresh"]}).status_code == 401


@pytest.mark.django_db(transaction=True)
def test_of_fifty_parallel_refreshes_one_succeeds(api):
    UserFactory(username="alice")
    refresh = login(api).json()["refresh"]

    def attempt(_):
        try:
            return api().post(REFRESH, {"refresh": refresh}).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(max_workers=10) as pool:
        statuses = sorted(pool.map(attempt, range(50)))

    assert statuses == [200] + [401] * 49
    assert not OutstandingToken.objects.exists()


def test_logging_out_revokes_the_refresh_token(api, customer):
    refresh = login(api).json()["refresh"]

    assert api().post(LOGOUT, {"refresh": refresh}).status_code == 204
    assert api().post(REFRESH, {"refresh": refresh}).status_code == 401
    assert api().post(LOGOUT, {"refresh": refresh}).status_code == 401
    assert api().post(LOGOUT, {"refresh": "garbage"}).status_code == 401


def test_a_refresh_token_used_twice_ends_its_session_and_no_other(api, customer):
    stolen, other = login(api).json(), login(api).json()
    thief = api().post(REFRESH, {"refresh": stolen["refresh"]}).json()

    assert api().post(REFRESH, {"refresh": stolen["refresh"]}).status_code == 401

    assert [status_with(api, pair["access"]) for pair in (stolen, thief, other)] == [401, 401, 200]
    assert api().post(REFRESH, {"refresh": thief["refresh"]}).status_code == 401
    assert api().post(REFRESH, {"refresh": other["refresh"]}).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_a_refused_refresh_ends_the_session_durably(api):
    UserFactory(username="alice")
    first = login(api).json()
    second = api().post(REFRESH, {"refresh": first["refresh"]}).json()

    api().post(REFRESH, {"refresh": first["refresh"]})

    connection.close()
    assert status_with(api, second["access"]) == 401


def test_logging_out_with_a_token_that_another_tab_has_refreshed_ends_the_session(api, customer):
    first = login(api).json()
    second = api().post(REFRESH, {"refresh": first["refresh"]}).json()

    assert api().post(LOGOUT, {"refresh": first["refresh"]}).status_code == 204

    assert status_with(api, second["access"]) == 401
    assert api().post(REFRESH, {"refresh": second["refresh"]}).status_code == 401


def test_a_logout_ends_the_access_tokens_of_its_session_at_once(api, customer):
    pair, other = login(api).json(), login(api).json()

    api().post(LOGOUT, {"refresh": pair["refresh"]})

    client = api()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {pair['access']}")
    refused = client.get("/api/tickets/")
    assert (refused.status_code, refused.json()["code"]) == (401, "logged_out")
    assert status_with(api, other["access"]) == 200


def test_authentication_takes_one_query(api, customer):
    token = AccessToken(login(api).json()["access"])

    with CaptureQueriesContext(connection) as queries:
        get_token_user(token)

    (query,) = queries
    assert f"{token['sid']}.%" in query["sql"]


def test_a_refresh_token_without_a_session_is_refused(api, customer):
    foreign = str(RefreshToken.for_user(customer))

    assert [api().post(path, {"refresh": foreign}).status_code for path in (REFRESH, LOGOUT)] == [401, 401]


def test_no_refresh_token_is_stored(api, customer):
    first = login(api).json()
    assert OutstandingToken.objects.get().token == ""

    second = api().post(REFRESH, {"refresh": first["refresh"]}).json()

    row = OutstandingToken.objects.get()
    assert (row.user, row.token, row.jti) == (customer, "", RefreshToken(second["refresh"])["jti"])


def test_expired_tokens_are_refused(api, customer):
    tokens = login(api).json()

    with time_machine.travel(timezone.now() + timedelta(hours=1, seconds=1)):
        assert status_with(api, tokens["access"]) == 401
    with time_machine.travel(timezone.now() + timedelta(days=7, seconds=1)):
        assert api().post(REFRESH, {"refresh": tokens["refresh"]}).status_code == 401


@pytest.mark.parametrize(
    "revoke",
    [
        lambda user: User.objects.filter(pk=user.pk).update(is_active=False),
        lambda user: user.delete(),
        lambda user: actions.change_password(user, new_password="a new and better one"),
    ],
    ids=["deactivation", "deletion", "a password change"],
)
def test_tokens_are_revoked_by(api, customer, revoke):
    tokens = login(api).json()

    revoke(customer)

    assert status_with(api, tokens["access"]) == 401
    assert api().post(REFRESH, {"refresh": tokens["refresh"]}).status_code == 401


def test_an_inactive_user_cannot_log_in(api, customer):
    User.objects.update(is_active=False)

    assert login(api).status_code == 401


def test_passwords_are_hashed_by_argon2id_at_owasps_minimum():
    encoded = make_password(PASSWORD, hasher=OwaspArgon2PasswordHasher())

    assert encoded.startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$")
    assert isinstance(identify_hasher(encoded), OwaspArgon2PasswordHasher)


COMPOSED, DECOMPOSED = "étude-Pass-Å", "e\u0301tude-Pass-\u212b"


@pytest.fixture
def argon2(settings):
    settings.PASSWORD_HASHERS = ["helpdesk.users.hashers.OwaspArgon2PasswordHasher"]


@pytest.fixture
def hashed(argon2, monkeypatch):
    """Return a list of the passwords that are hashed from here on."""
    passwords = []
    monkeypatch.setattr(
        Argon2PasswordHasher, "verify", lambda _hasher, password, _encoded: passwords.append(password) or False
    )
    encode = Argon2PasswordHasher.encode
    monkeypatch.setattr(
        Argon2PasswordHasher,
        "encode",
        lambda hasher, password, salt: passwords.append(password) or encode(hasher, password, salt),
    )
    return passwords


@pytest.mark.usefixtures("argon2")
@pytest.mark.parametrize(("chosen", "typed"), [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)])
def test_equivalent_unicode_passwords_are_equal(api, customer, client, chosen, typed):
    actions.change_password(customer, new_password=chosen)
    User.objects.update(role="agent")

    assert login(api, password=typed).status_code == 200
    assert client.post("/admin/login/", {"username": "alice", "password": typed}).status_code == 302


def test_a_hash_of_a_password_that_was_not_normalized_still_works(api, customer, argon2):
    old = Argon2PasswordHasher.encode(OwaspArgon2PasswordHasher(), DECOMPOSED, OwaspArgon2PasswordHasher().salt())
    User.objects.update(password=old)

    assert [login(api, password=password).status_code for password in (DECOMPOSED, COMPOSED)] == [200, 401]


@pytest.mark.parametrize(("password", "times"), [("wrong", 1), (COMPOSED, 1), (DECOMPOSED, 2)])
def test_a_wrong_password_costs_a_second_hash_only_if_normalizing_changed_it(api, customer, hashed, password, times):
    actions.change_password(customer, new_password=PASSWORD)

    for username in ("alice", "nobody"):
        hashed.clear()
        assert login(api, username, password).status_code == 401
        assert len(hashed) == times


def test_a_common_password_is_refused_in_full_width_letters(api, customer):
    full_width = "".join(chr(ord(letter) + 0xFEE0) for letter in "password123")
    body = {"current_password": PASSWORD, "new_password": full_width}

    assert api(customer).post("/api/users/me/password/", body).status_code == 400


def test_expired_sessions_are_deleted(api, customer):
    login(api)
    with time_machine.travel(timezone.now() + timedelta(days=3)):
        login(api)

    with time_machine.travel(timezone.now() + timedelta(days=8)):
        deleted = delete_expired_tokens()

    assert deleted == 1
    assert OutstandingToken.objects.count() == 1


def test_a_session_survives_refreshes_and_ends_with_a_logout(api, customer):
    first = login(api).json()
    other = AccessToken(login(api).json()["access"])
    second = api().post(REFRESH, {"refresh": first["refresh"]}).json()
    tokens = [AccessToken(pair["access"]) for pair in (first, second)]

    assert len({token["sid"] for token in tokens}) == 1
    assert {get_token_user(token).pk for token in tokens} == {customer.pk}
    api().post(LOGOUT, {"refresh": second["refresh"]})

    for token in tokens:
        with pytest.raises(TokenRejected):
            get_token_user(token)
    assert get_token_user(other) == customer


def test_a_logout_and_a_new_password_send_a_signal(api, customer):
    revoked = []

    def record(user_id, **kwargs):
        revoked.append(user_id)

    tokens_revoked.connect(record)
    api().post(LOGOUT, {"refresh": login(api).json()["refresh"]})
    actions.change_password(customer, new_password="another horse battery")

    assert revoked == [customer.pk] * 2
    tokens_revoked.disconnect(record)
