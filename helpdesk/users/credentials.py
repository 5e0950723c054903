"""Checks of passwords; rate limits, lockout and recorded failures are the same in the API and in the admin."""

from collections.abc import Callable
from typing import Any

from axes.handlers.database import AxesDatabaseHandler
from axes.handlers.proxy import AxesProxyHandler
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.auth import authenticate, user_login_failed
from django.db.models import Sum
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from rest_framework import exceptions
from rest_framework.request import Request

from helpdesk.core.client_address import client_network
from helpdesk.core.throttles import check_limit
from helpdesk.users.models import MAXIMUM_USERNAME_LENGTH, User


class LockoutHandler(AxesDatabaseHandler):
    """Locks a username for one address, as django-axes does, and past LOGIN_FAILURE_LIMIT for all addresses."""

    def is_locked(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> bool:
        username = (credentials or {}).get("username")
        return super().is_locked(request, credentials) or count_failures(username) >= settings.LOGIN_FAILURE_LIMIT


class LockedOut(exceptions.Throttled):
    """429: the username is locked after too many wrong passwords."""

    default_code = "locked"

    def __init__(self) -> None:
        seconds = settings.AXES_COOLOFF_TIME.total_seconds()
        super().__init__(seconds, _("Too many failed logins."), self.default_code)


def count_failures(username: str | None) -> int:
    """Return the number of failed logins with a username from all addresses within AXES_COOLOFF_TIME."""
    since = timezone.now() - settings.AXES_COOLOFF_TIME
    recent = AccessAttempt.objects.filter(username=username, attempt_time__gte=since)
    return recent.aggregate(total=Sum("failures_since_start"))["total"] or 0


def check_credentials(
    request: HttpRequest | Request,
    *,
    username: str,
    password: str,
    is_allowed: Callable[[User], bool] = lambda _user: True,
) -> User:
    """Return the active user with this username and password; the only caller of `authenticate`.

    Before it hashes anything it raises Throttled past the limit of the client's address or of the username, LockedOut
    after too many failures, and ServiceUnavailable while Redis is down, which counts. Otherwise raises
    AuthenticationFailed: for a wrong pair; for one that no account can have, which is not recorded as a failure; and
    for a user whom `is_allowed` refuses, which is recorded and answered like a wrong pair.
    """
    request = request._request if isinstance(request, Request) else request  # noqa: SLF001 -- axes needs Django's
    credentials = {"username": username}
    check_limit(settings.THROTTLE_ANON_RATE, "login-address", client_network(request))
    if not is_possible(username, password):
        raise invalid_credentials()
    if not AxesProxyHandler.is_allowed(request, credentials):
        raise LockedOut
    check_limit(settings.THROTTLE_LOGIN_RATE, "login-username", username.lower())
    user = authenticate(request, username=username, password=password)
    if isinstance(user, User) and is_allowed(user):
        return user
    if user is not None:
        user_login_failed.send(__name__, credentials=credentials, request=request)
    raise invalid_credentials()


def is_possible(username: str, password: str) -> bool:
    """Return whether PostgreSQL can store the username, and neither contains NUL."""
    return len(username) <= MAXIMUM_USERNAME_LENGTH and "\0" not in username + password


def invalid_credentials() -> exceptions.AuthenticationFailed:
    return exceptions.AuthenticationFailed(_("No active account found with the given credentials"), "no_account")


def check_current_password(request: Request, *, username: str, password: str) -> None:
    """Check the password of an authenticated user: like `check_credentials`, but ValidationError (400) if it is wrong."""
    try:
        check_credentials(request, username=username, password=password)
    except exceptions.AuthenticationFailed:
        error = {"current_password": [_("The password is incorrect.")]}
        raise exceptions.ValidationError(error, "wrong_password") from None
