"""Authentication of API requests: access tokens of users, and the token of monitoring systems."""

from django.conf import settings
from django.utils.crypto import constant_time_compare
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated
from rest_framework.request import Request
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.tokens import Token

from helpdesk.users.models import User
from helpdesk.users.tokens import TokenRejected, get_session_id, get_token_user


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
