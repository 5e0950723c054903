"""What can happen to a user, and to the tokens they hold."""

from typing import TypedDict

from django.db import transaction
from django.utils.translation import gettext as _
from rest_framework_simplejwt.exceptions import InvalidToken, TokenError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken

from helpdesk.users.authentication import SessionToken, user_of
from helpdesk.users.models import User
from helpdesk.users.signals import tokens_revoked, user_changed


class TokenPair(TypedDict):
    """What a client logs in with: access for an hour, refresh once within seven days."""

    access: str
    refresh: str


@transaction.atomic
def save_user(user: User, *, by: User) -> None:
    """Save a new or changed user, and tell the apps that show or depend on them."""
    user.save()
    user_changed.send(User, user=user, by=by)


@transaction.atomic
def change_password(user: User, *, new_password: str | None) -> None:
    """Set the password, None for one that nobody has; every token and session made under the old one is dead."""
    user.set_password(new_password)
    user.save(update_fields=["password"])
    tokens_revoked.send(User, user_id=user.pk)


def issue_tokens(user: User) -> TokenPair:
    return pair_of(SessionToken.for_user(user))


def pair_of(refresh: SessionToken) -> TokenPair:
    return {"access": str(refresh.access_token), "refresh": str(refresh)}


@transaction.atomic
def rotate_refresh_token(refresh: str) -> TokenPair:
    """Return a new pair for a refresh token, which is dead afterwards; of parallel calls one succeeds.

    Raises InvalidToken or AuthenticationFailed.
    """
    token = valid_refresh_token(refresh)
    user_of(token)
    if not spend(token):
        raise InvalidToken(_("Token is blacklisted"))
    return pair_of(successor_of(token))


@transaction.atomic
def revoke_refresh_token(refresh: str) -> None:
    """Make a refresh token worthless, which ends its session; raises InvalidToken for one that already is."""
    token = valid_refresh_token(refresh)
    if not spend(token):
        raise InvalidToken(_("Token is blacklisted"))
    tokens_revoked.send(User, user_id=int(token[api_settings.USER_ID_CLAIM]))


def successor_of(token: SessionToken) -> SessionToken:
    """Return a new token of the same session."""
    token.set_jti()
    token.set_iat()
    token.set_exp()
    token.outstand()
    return token


def valid_refresh_token(refresh: str) -> SessionToken:
    try:
        return SessionToken(refresh)  # type: ignore[arg-type] # the library's annotation lacks str
    except TokenError as error:
        raise InvalidToken(str(error)) from error


def spend(token: SessionToken) -> bool:
    """Black-list a token; False when somebody else did: the unique row decides."""
    outstanding = OutstandingToken.objects.filter(jti=token["jti"]).first()
    if outstanding is None:
        return False
    _row, is_first = BlacklistedToken.objects.get_or_create(token=outstanding)
    return is_first
