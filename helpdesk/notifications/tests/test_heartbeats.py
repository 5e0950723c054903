"""One query finds the connections whose user, session or stream has changed, and no other."""

import pytest

from helpdesk.notifications.live.hub import SessionState, find_stale_sessions
from helpdesk.notifications.models import Stream
from helpdesk.users.actions import change_password, issue_tokens, revoke_refresh_token, rotate_refresh_token
from helpdesk.users.authentication import get_session_id, read_access_token
from helpdesk.users.models import User

from .conftest import access_token

pytestmark = pytest.mark.django_db


def state_of(user, access):
    token = read_access_token(access)
    return SessionState(user.pk, token.get("hash_password"), get_session_id(token), last_seq=0)


@pytest.fixture
def tokens(customer):
    return issue_tokens(customer)


@pytest.fixture
def state(customer, tokens):
    return state_of(customer, tokens["access"])


def test_without_changes_no_session_is_stale(state, customer, stranger, tokens, django_assert_num_queries):
    rotate_refresh_token(tokens["refresh"])
    others = [state_of(stranger, access_token(stranger)) for _ in range(3)]

    with django_assert_num_queries(1):
        assert find_stale_sessions([state, *others]) == []


def test_a_session_that_was_not_sent_everything_is_stale(state, customer, stranger):
    Stream.objects.create(user=customer, last_seq=3)
    other = state_of(stranger, access_token(stranger))

    assert find_stale_sessions([other, state, state._replace(last_seq=3), state._replace(last_seq=2)]) == [1, 3]


def test_the_session_of_a_deleted_or_inactive_user_is_stale(state, customer):
    User.objects.filter(pk=customer.pk).update(is_active=False)

    assert find_stale_sessions([state, state._replace(user_id=0)]) == [0, 1]


def test_a_session_with_an_old_password_is_stale(state, customer):
    change_password(customer, new_password="another horse battery")

    assert find_stale_sessions([state]) == [0]


def test_a_session_that_was_logged_out_is_stale_and_others_are_not(state, customer, tokens):
    elsewhere = state_of(customer, access_token(customer))

    revoke_refresh_token(tokens["refresh"])

    assert find_stale_sessions([state, elsewhere]) == [0]
