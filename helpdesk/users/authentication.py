"""Bearer tokens: who makes the request, at the cost of one query."""

from datetime import UTC, datetime
from typing import Self, cast
from uuid import uuid4

from django.conf import settings
from django.db.models import BooleanField, QuerySet, Value
from django.db.models.expressions import RawSQL
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext as _
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import NotAuthenticated
from rest_framework.request import Request
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import AuthenticationFailed, InvalidToken, TokenError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken
from rest_framework_simplejwt.tokens import AccessToken, BlacklistMixin, RefreshToken, Token
from rest_framework_simplejwt.utils import get_md5_hash_password

from helpdesk.users.models import User

SESSION_CLAIM = "sid"
# `rows_of_session`, written out: every request pays for it, and the ORM takes longer to write it than PostgreSQL to read.
HAS_SESSION = """
    EXISTS (
        SELECT FROM token_blacklist_outstandingtoken AS token
        LEFT JOIN token_blacklist_blacklistedtoken AS spent ON spent.token_id = token.id
        WHERE token.jti LIKE %s AND spent.id IS NULL
    )
"""


class SessionToken(RefreshToken):
    """A refresh token that names its session: the login that it, and every token traded for it, comes from."""

    @classmethod
    def for_user(cls, user: User) -> Self:  # type: ignore[override] # the library's User has no name
        """Begin a session: its row names the one refresh token that works, and does not hold it."""
        # Past the library's own row.
        token = super(BlacklistMixin, cls).for_user(user)
        OutstandingToken.objects.create(
            user=user,
            jti=token[api_settings.JTI_CLAIM],
            token="",
            created_at=token.current_time,
            expires_at=token.expires_at,
        )
        return token

    @property
    def expires_at(self) -> datetime:
        return datetime.fromtimestamp(self["exp"], tz=UTC)

    def set_jti(self) -> None:
        session = self.payload.setdefault(SESSION_CLAIM, uuid4().hex)
        self.payload[api_settings.JTI_CLAIM] = f"{session}.{uuid4().hex}"


class AccessTokenAuthentication(JWTAuthentication):
    """Accepts an access token while its session lasts, and its user is active and has the password it was issued under."""

    def get_user(self, validated_token: Token) -> User:  # type: ignore[override] # a type variable that nothing binds
        return user_of(validated_token)


class Monitor:
    """Who comes with HEALTH_TOKEN: a program that watches over the helpdesk, and no user."""

    pk = "monitor"
    is_authenticated = True


class HealthTokenAuthentication(BaseAuthentication):
    """Accepts HEALTH_TOKEN, if there is one; what else comes is for the next authentication to judge."""

    def authenticate(self, request: Request) -> tuple[Monitor, None] | None:
        is_known = bool(settings.HEALTH_TOKEN) and constant_time_compare(
            get_authorization_header(request), f"Bearer {settings.HEALTH_TOKEN}"
        )
        return (Monitor(), None) if is_known else None

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="api"'


def current_user(request: Request) -> User:
    """Return the user of a request that IsAuthenticated has let pass."""
    user = request.user
    if not isinstance(user, User):
        raise NotAuthenticated
    return user


def session_of(request: Request) -> str:
    """Return the session of the request's access token; "" for a token of none."""
    token = request.auth
    return str(token.get(SESSION_CLAIM, "")) if isinstance(token, Token) else ""


def user_of(token: Token) -> User:
    """Return the user of a valid token, by one query.

    Raises AuthenticationFailed when they are gone, inactive, have a new password, or have logged out of its session.
    """
    session = token.get(SESSION_CLAIM)
    has_session = Value(value=True) if session is None else session_exists(session)
    user = User.objects.annotate(has_session=has_session).filter(pk=token[api_settings.USER_ID_CLAIM]).first()
    if user is None or not user.is_active:
        raise AuthenticationFailed(_("User is inactive or deleted."), code="user_inactive")
    if token.get(api_settings.REVOKE_TOKEN_CLAIM) != get_md5_hash_password(user.password):
        raise AuthenticationFailed(_("The user's password has been changed."), code="password_changed")
    if not user.has_session:
        raise AuthenticationFailed(_("The user has logged out."), code="logged_out")
    return cast("User", user)


def session_exists(session: str) -> RawSQL:
    return RawSQL(HAS_SESSION, [f"{session}.%"], BooleanField())  # noqa: S611 -- what is signed is a parameter


def rows_of_session(session: str) -> QuerySet[OutstandingToken]:
    """Return the row of a session that has not ended: one, or none.

    Earlier code kept a row for each refresh token, and blacklisted those that were used.
    """
    rows: QuerySet[OutstandingToken] = OutstandingToken.objects.filter(jti__startswith=f"{session}.")
    return rows.filter(blacklistedtoken=None)


def access_token_of(text: str) -> AccessToken:
    """Return a valid access token; raises InvalidToken for whatever else it is."""
    try:
        return AccessToken(text)  # type: ignore[arg-type] # the library's annotation lacks str
    except TokenError as error:
        raise InvalidToken(str(error)) from error
