"""One look for many sockets finds those who have to look for themselves, and no other."""

import pytest
from rest_framework_simplejwt.tokens import RefreshToken

from helpdesk.notifications.live.rounds import Standing, restless
from helpdesk.notifications.models import Stream
from helpdesk.users.actions import change_password, issue_tokens, revoke_refresh_token, rotate_refresh_token
from helpdesk.users.models import User
from helpdesk.users.tokens import SESSION_CLAIM, read_access_token

pytestmark = pytest.mark.django_db


def standing_of(user, access, last=0):
    token = read_access_token(access)
    return Standing(user.pk, token.get("hash_password"), token.get(SESSION_CLAIM), last)


@pytest.fixture
def tokens(customer):
    return issue_tokens(customer)


@pytest.fixture
def standing(customer, tokens):
    return standing_of(customer, tokens["access"])


def test_nobody_looks_while_nothing_happens(standing, customer, stranger, tokens, django_assert_num_queries):
    rotate_refresh_token(tokens["refresh"])
    others = [standing_of(stranger, issue_tokens(stranger)["access"]) for _ in range(3)]
    without_session = standing_of(customer, str(RefreshToken.for_user(customer).access_token))

    with django_assert_num_queries(1):
        assert restless([standing, *others, without_session]) == []


def test_who_was_not_told_everything_looks(standing, customer, stranger):
    Stream.objects.create(user=customer, last_seq=3)
    other = standing_of(stranger, issue_tokens(stranger)["access"])

    assert restless([other, standing, standing._replace(last=3), standing._replace(last=2)]) == [1, 3]


def test_whose_user_is_gone_or_inactive_looks(standing, customer):
    User.objects.filter(pk=customer.pk).update(is_active=False)

    assert restless([standing, standing._replace(user_id=0)]) == [0, 1]


def test_who_has_another_password_looks(standing, customer):
    change_password(customer, new_password="another horse battery")

    assert restless([standing]) == [0]


def test_who_has_logged_out_looks_and_other_sessions_do_not(standing, customer, tokens):
    elsewhere = standing_of(customer, issue_tokens(customer)["access"])

    revoke_refresh_token(tokens["refresh"])

    assert restless([standing, elsewhere]) == [0]
