"""Bearer tokens: who makes the request, at the cost of one query."""

from django.utils.translation import gettext as _
from rest_framework.exceptions import NotAuthenticated
from rest_framework.request import Request
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import AuthenticationFailed
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.tokens import Token
from rest_framework_simplejwt.utils import get_md5_hash_password

from helpdesk.users.models import User


class AccessTokenAuthentication(JWTAuthentication):
    """Accepts an access token while its user exists, is active and has the password it was issued under."""

    def get_user(self, validated_token: Token) -> User:  # type: ignore[override] # a type variable that nothing binds
        return user_of(validated_token)


def current_user(request: Request) -> User:
    """Return the user of a request that IsAuthenticated has let pass."""
    user = request.user
    if not isinstance(user, User):
        raise NotAuthenticated
    return user


def user_of(token: Token) -> User:
    """Return the user of a valid token; AuthenticationFailed when they are gone, inactive or have a new password."""
    user: User | None = User.objects.filter(pk=token[api_settings.USER_ID_CLAIM]).first()
    if user is None or not user.is_active:
        raise AuthenticationFailed(_("User is inactive or deleted."), code="user_inactive")
    if token.get(api_settings.REVOKE_TOKEN_CLAIM) != get_md5_hash_password(user.password):
        raise AuthenticationFailed(_("The user's password has been changed."), code="password_changed")
    return user
