"""The one way to try a password: limits, lock-out and failures are the same wherever it is taken."""

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


class LockOut(AxesDatabaseHandler):
    """Locks a username for one address, as django-axes does, and past LOGIN_FAILURE_LIMIT for every address."""

    def is_locked(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> bool:
        return super().is_locked(request, credentials) or failures_of(credentials) >= settings.LOGIN_FAILURE_LIMIT


class LockedOut(exceptions.Throttled):
    """Refuses a username after too many wrong passwords."""

    default_code = "locked"

    def __init__(self) -> None:
        seconds = settings.AXES_COOLOFF_TIME.total_seconds()
        super().__init__(seconds, _("Too many failed logins."), self.default_code)


def failures_of(credentials: dict[str, Any] | None) -> int:
    """Return how many passwords were wrong for a username, from all addresses, within the cool-off."""
    recent = AccessAttempt.objects.filter(
        username=(credentials or {}).get("username"),
        attempt_time__gte=timezone.now() - settings.AXES_COOLOFF_TIME,
    )
    return recent.aggregate(total=Sum("failures_since_start"))["total"] or 0


def verified_user(
    request: HttpRequest | Request,
    *,
    username: str,
    password: str,
    may_enter: Callable[[User], bool] = lambda _user: True,
) -> User:
    """Return the user of a right pair; every place that takes a password calls this and hashes nothing itself.

    Before anything is hashed it raises Throttled past a limit of the address or the username, LockedOut after too
    many failures, and ServiceUnavailable while Redis, which counts, is down. AuthenticationFailed is for a wrong
    pair, for one that nobody can have, which is not recorded, and for the right one of a user who may not enter, who
    is counted and answered alike.
    """
    request = request._request if isinstance(request, Request) else request  # noqa: SLF001 -- axes wants Django's
    credentials = {"username": username}
    check_limit(settings.THROTTLE_ANON_RATE, "login-address", client_network(request))
    if not is_possible(username, password):
        raise wrong_pair()
    if not AxesProxyHandler.is_allowed(request, credentials):
        raise LockedOut
    check_limit(settings.THROTTLE_LOGIN_RATE, "login-username", username.lower())
    user = authenticate(request, username=username, password=password)
    if isinstance(user, User) and may_enter(user):
        return user
    if user is not None:
        user_login_failed.send(__name__, credentials=credentials, request=request)
    raise wrong_pair()


def is_possible(username: str, password: str) -> bool:
    """Return whether PostgreSQL could hold the username, and neither contains NUL."""
    return len(username) <= MAXIMUM_USERNAME_LENGTH and "\0" not in username + password


def wrong_pair() -> exceptions.AuthenticationFailed:
    return exceptions.AuthenticationFailed(_("No active account found with the given credentials"), "no_account")


def check_own_password(request: Request, *, username: str, password: str, field: str = "current_password") -> None:
    """Try the present password of whoever is logged in: as `verified_user`, but 400 under `field` if it is wrong."""
    try:
        verified_user(request, username=username, password=password)
    except exceptions.AuthenticationFailed:
        raise exceptions.ValidationError({field: [_("The password is wrong.")]}, "wrong_password") from None
