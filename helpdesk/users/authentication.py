"""Authentication of requests and connections by access tokens, and the token of monitoring systems.

Access tokens, and the refresh token that each use replaces, are the JSON Web Tokens (RFC 7519) of a session. A session is
one row of OutstandingToken. Its `jti` is "{session id}.{random}", that of the only valid refresh token; the token itself
is not stored.
"""

from datetime import UTC, datetime
from typing import Self
from uuid import uuid4

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS
from django.db.models import QuerySet
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext as _
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated
from rest_framework.request import Request
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken
from rest_framework_simplejwt.tokens import AccessToken, BlacklistMixin, RefreshToken, Token
from rest_framework_simplejwt.utils import get_md5_hash_password

from helpdesk.core.database import fetch_first
from helpdesk.users.models import User

SESSION_CLAIM = "sid"
USER_COLUMNS = [field.attname for field in User._meta.concrete_fields]  # noqa: SLF001 -- Django's public API
# As SQL: every request runs it, and building it with the ORM takes longer than running it.
GET_USER_AND_SESSION = (
    f"SELECT {', '.join(USER_COLUMNS)}, EXISTS (SELECT FROM token_blacklist_outstandingtoken WHERE jti LIKE %s)"  # noqa: S608 -- made of constants
    " FROM users_user WHERE id = %s"
)


class TokenRejected(Exception):  # noqa: N818 -- named like Django's PermissionDenied
    """A token is malformed, expired or revoked; `code` is for programs, the text for people."""

    def __init__(self, message: str, *, code: str = "token_not_valid") -> None:
        super().__init__(message)
        self.code = code


class SessionToken(RefreshToken):
    """A refresh token with the id of its session, which the access tokens made from it carry, too."""

    @classmethod
    def for_user(cls, user: User) -> Self:  # type: ignore[override] # the library's User has no name
        """Return a token of a new session; unlike the library's, this stores nothing."""
        return super(BlacklistMixin, cls).for_user(user)

    def set_jti(self) -> None:
        session = self.payload.setdefault(SESSION_CLAIM, uuid4().hex)
        self.payload[api_settings.JTI_CLAIM] = f"{session}.{uuid4().hex}"

    @property
    def row(self) -> dict[str, str | datetime]:
        """The columns of OutstandingToken that describe it."""
        return {
            "jti": self[api_settings.JTI_CLAIM],
            "token": "",
            "created_at": self.current_time,
            "expires_at": datetime.fromtimestamp(self["exp"], tz=UTC),
        }


def read_access_token(text: str) -> AccessToken:
    """Verify the signature and lifetime of an access token; raises TokenRejected."""
    try:
        return AccessToken(text)  # type: ignore[arg-type] # the library's annotation lacks str
    except TokenError as error:
        raise TokenRejected(str(error)) from error


def read_refresh_token(text: str) -> SessionToken:
    """Verify the signature and lifetime of a refresh token, used or not; raises TokenRejected."""
    try:
        return SessionToken(text)  # type: ignore[arg-type] # the library's annotation lacks str
    except TokenError as error:
        raise TokenRejected(str(error)) from error


def get_session_id(token: Token) -> str:
    return str(token.get(SESSION_CLAIM, ""))


def get_session(token: Token) -> QuerySet[OutstandingToken]:
    """Return the row of the token's session; none if the session has ended."""
    return OutstandingToken.objects.filter(jti__startswith=f"{get_session_id(token)}.")


def get_token_user(token: Token) -> User:
    """Return the user of a verified token, with one query.

    Raises TokenRejected if the user is deleted or inactive (`user_inactive`), has another password than when the token
    was issued (`password_changed`), or if the session has ended (`logged_out`).
    """
    parameters = [f"{get_session_id(token)}.%", int(token[api_settings.USER_ID_CLAIM])]
    *values, has_session = fetch_first(GET_USER_AND_SESSION, parameters) or [False]
    user = User.from_db(DEFAULT_DB_ALIAS, USER_COLUMNS, values) if values else None
    if user is None or not user.is_active:
        raise TokenRejected(_("User is inactive or deleted."), code="user_inactive")
    if token.get(api_settings.REVOKE_TOKEN_CLAIM) != get_md5_hash_password(user.password):
        raise TokenRejected(_("The user's password has been changed."), code="password_changed")
    if not has_session:
        raise TokenRejected(_("The user has logged out."), code="logged_out")
    return user


# Requests


class AccessTokenAuthentication(JWTAuthentication):
    """Accepts an access token while its session lasts and its user is active and has not changed the password."""

    def get_user(self, validated_token: Token) -> User:  # type: ignore[override] # a type variable that nothing binds
        try:
            return get_token_user(validated_token)
        except TokenRejected as error:
            raise authentication_failed(error) from error


class Monitor:
    """The `request.user` of a monitoring system, which has no account."""

    pk = "monitor"
    is_authenticated = True


class HealthTokenAuthentication(BaseAuthentication):
    """Accepts `Bearer HEALTH_TOKEN` if that setting is not empty; leaves other tokens to the next authentication."""

    def authenticate(self, request: Request) -> tuple[Monitor, None] | None:
        is_known = bool(settings.HEALTH_TOKEN) and constant_time_compare(
            get_authorization_header(request), f"Bearer {settings.HEALTH_TOKEN}"
        )
        return (Monitor(), None) if is_known else None

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="api"'


def authentication_failed(error: TokenRejected) -> AuthenticationFailed:
    """Return the 401 response's exception for a rejected token."""
    return AuthenticationFailed(str(error), error.code)


def current_user(request: Request) -> User:
    """Return the user of an authenticated request; raises NotAuthenticated."""
    user = request.user
    if not isinstance(user, User):
        raise NotAuthenticated
    return user


def current_session_id(request: Request) -> str:
    """Return the id of the session whose access token authenticates the request; "" without an access token."""
    return get_session_id(request.auth) if isinstance(request.auth, Token) else ""
