"""What can happen to a user, and to the tokens they hold."""

from collections.abc import Mapping
from typing import Any, TypedDict

from axes.models import AccessAttempt
from axes.utils import reset as forget_failed_logins
from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.contrib.sessions.models import Session
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from rest_framework_simplejwt.exceptions import InvalidToken, TokenError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

from helpdesk.core.cleanup import delete_in_ranges
from helpdesk.users.account_tokens import (
    read_address_change_token,
    read_registration_token,
    user_of_password_reset_token,
)
from helpdesk.users.authentication import SESSION_CLAIM, SessionToken, rows_of_session, user_of
from helpdesk.users.models import AddressChange, Language, Registration, User
from helpdesk.users.signals import (
    address_change_requested,
    password_reset_requested,
    registration_requested,
    tokens_revoked,
    user_changed,
)

# Not the password: that is `change_password`, which ends tokens.
CHANGEABLE_FIELDS = frozenset({"username", "email", "name", "role", "language", "is_active", "is_superuser"})


class TokenPair(TypedDict):
    """What a client logs in with: access for an hour, refresh once within seven days."""

    access: str
    refresh: str


@transaction.atomic
def add_user(user: User, *, by: User) -> None:
    """Save a new user."""
    user.save(force_insert=True)
    user_changed.send(User, user=user, by=by, changed=frozenset())


@transaction.atomic
def update_user(user_id: int, *, changes: Mapping[str, Any], by: User, kept_session: str = "") -> User:
    """Write these fields of a user and no others; return the user as they are then.

    Another address or a deactivation cancels an address that waits to be confirmed, and another address ends all
    sessions but one. Raises User.DoesNotExist, and IntegrityError for what contradicts another change meanwhile.
    """
    if unknown := changes.keys() - CHANGEABLE_FIELDS:
        raise ValueError(unknown)
    user: User = User.objects.select_for_update(no_key=True).get(pk=user_id)
    changed = {field: value for field, value in changes.items() if getattr(user, field) != value}
    if not changed:
        return user
    for field, value in changed.items():
        setattr(user, field, value)
    user.save(update_fields=list(changed))
    if "email" in changed or not user.is_active:
        AddressChange.objects.filter(user=user).delete()
    if "email" in changed:
        end_sessions(user, kept=kept_session)
    user_changed.send(User, user=user, by=by, changed=frozenset(changed))
    return user


def end_sessions(user: User, *, kept: str) -> None:
    """End the sessions of a user with all their tokens, but for the kept one, if any."""
    rows = OutstandingToken.objects.filter(user=user)
    if kept:
        rows = rows.exclude(jti__startswith=f"{kept}.")
    rows.delete()
    tokens_revoked.send(User, user_id=user.pk)


@transaction.atomic
def update_profile(user: User, *, changes: Mapping[str, str], session: str = "") -> User:
    """Save what users change about themselves in a session; another e-mail address waits until it is confirmed."""
    at_once = {field: value for field, value in changes.items() if field != "email"}
    user = update_user(user.pk, changes=at_once, by=user)
    if "email" in changes:
        ask_for_address(user, changes["email"], session=session)
    return user


def ask_for_address(user: User, email: str, *, session: str) -> None:
    """Have an address asked whether it is the user's, and no other one that waits; their present one ends the waiting.

    It does the same for an address that somebody else has: only the e-mail to it says so. The session is the one
    that goes on when the address is confirmed.
    """
    AddressChange.objects.filter(user=user).delete()
    if email != user.email:
        change = AddressChange.objects.create(user=user, email=email, session=session)
        address_change_requested.send(AddressChange, change=change)


@transaction.atomic
def change_password(user: User, *, new_password: str | None) -> None:
    """Set the password, None for one that nobody has; every token and session made under the old one is dead.

    So is the link to confirm another address: perhaps it was not the user who asked for it.
    """
    user.set_password(new_password)
    user.save(update_fields=["password"])
    AddressChange.objects.filter(user=user).delete()
    tokens_revoked.send(User, user_id=user.pk)


@transaction.atomic
def register(*, username: str, email: str, password: str, name: str, language: Language) -> None:
    """Hold the username for a day, and have the address asked whether it is theirs; ValidationError if it is taken.

    It does the same for an address that somebody has already: only the e-mail to it says so.
    """
    Registration.objects.expired().filter(username=username).delete()
    if any(model.objects.filter(username=username).exists() for model in (User, Registration)):
        message = _("A user with that username already exists.")
        raise ValidationError({"username": ValidationError(message, code="unique")})
    registration = Registration.objects.create(
        username=username,
        email=email,
        name=name,
        language=language,
        password=make_password(password),
    )
    registration_requested.send(Registration, registration=registration)


def confirm_address(token: str) -> User:
    """Return the user whose address the token proves: a new customer, or one who gets it instead of their old one.

    Raises ValidationError for a token that is not good any more.
    """
    change_id = read_address_change_token(token)
    return confirm_registration(token) if change_id is None else change_address(change_id)


@transaction.atomic
def confirm_registration(token: str) -> User:
    found = Registration.objects.select_for_update().filter(pk=read_registration_token(token) or 0).first()
    if found is None or is_taken(found.email):
        raise ValidationError({"token": bad_token()})
    user = User(
        username=found.username,
        email=found.email,
        name=found.name,
        language=found.language,
        password=found.password,
    )
    found.delete()
    add_user(user, by=user)
    return user


@transaction.atomic
def change_address(change_id: int) -> User:
    users = User.objects.select_for_update(no_key=True, of=("self",))
    user: User | None = users.filter(address_change=change_id).first()
    # Only now: whoever replaces, cancels or uses it holds the lock.
    change = AddressChange.objects.living().filter(pk=change_id).first()
    if user is None or change is None or not user.is_active or is_taken(change.email, by_other_than=user):
        raise ValidationError({"token": bad_token()})
    return update_user(user.pk, changes={"email": change.email}, by=user, kept_session=change.session)


def is_taken(email: str, *, by_other_than: User | None = None) -> bool:
    users = User.objects.with_email(email).exclude(pk=by_other_than.pk if by_other_than else None)
    found: bool = users.exists()
    return found


@transaction.atomic
def request_password_reset(*, email: str, language: str) -> None:
    """Have a link mailed to whoever has the address; whether anybody has, nobody finds out here."""
    password_reset_requested.send(User, email=email, language=language)


def user_who_resets(token: str) -> User:
    """Return the user whom a mailed token lets choose a password; raises ValidationError."""
    user = user_of_password_reset_token(token)
    if user is None:
        raise ValidationError({"token": bad_token()})
    return user


def reset_password(token: str, *, new_password: str) -> None:
    """Set the password and let the user in again; the token is dead from here on. Raises ValidationError."""
    with transaction.atomic():
        asked = user_who_resets(token)
        # Of two with the same token, the second finds it used.
        User.objects.select_for_update(no_key=True).get(pk=asked.pk)
        user = user_who_resets(token)
        change_password(user, new_password=new_password)
    forget_failed_logins(username=user.username)


def bad_token() -> ValidationError:
    return ValidationError(_("The link has expired or was used already. Ask for a new one."), code="bad_token")


def delete_expired_registrations() -> int:
    """Let go of usernames whose registration was not confirmed in time; returns how many."""
    return delete_in_ranges(Registration.objects.expired())


def delete_expired_address_changes() -> int:
    """Delete addresses that were not confirmed in time; returns how many."""
    return delete_in_ranges(AddressChange.objects.expired())


def delete_expired_tokens() -> int:
    """Delete sessions whose refresh token has expired; returns how many."""
    # All ranges: the row of a session stays as long as it is refreshed.
    return delete_in_ranges(OutstandingToken.objects.filter(expires_at__lt=timezone.now()))


def delete_expired_sessions() -> int:
    """Delete the admin's sessions that have ended; returns how many."""
    return delete_in_ranges(Session.objects.filter(expire_date__lt=timezone.now()))


def delete_old_login_failures() -> int:
    """Delete failed logins whose cool-off is over; returns how many."""
    return delete_in_ranges(AccessAttempt.objects.filter(attempt_time__lt=timezone.now() - settings.AXES_COOLOFF_TIME))


def issue_tokens(user: User) -> TokenPair:
    return pair_of(SessionToken.for_user(user))


def pair_of(refresh: SessionToken) -> TokenPair:
    return {"access": str(refresh.access_token), "refresh": str(refresh)}


def rotate_refresh_token(refresh: str) -> TokenPair:
    """Return a new pair for a refresh token, which never works again; of parallel calls one succeeds.

    A used one ends its session: perhaps it was stolen, and nobody can tell who comes first (RFC 9700, section 4.14.2).
    Raises InvalidToken or AuthenticationFailed.
    """
    token = valid_refresh_token(refresh)
    user_of(token)
    if not replace_jti(token):
        # Outside of a transaction, or the answer would undo it.
        delete_session(token)
        raise InvalidToken(_("The token was used before, which has ended its session."))
    return pair_of(token)


def revoke_refresh_token(refresh: str) -> None:
    """End the session of a refresh token, used or not; raises InvalidToken for one whose session has ended."""
    if not delete_session(valid_refresh_token(refresh)):
        raise InvalidToken(_("The user has logged out."))


def valid_refresh_token(refresh: str) -> SessionToken:
    try:
        token = SessionToken(refresh)  # type: ignore[arg-type] # the library's annotation lacks str
    except TokenError as error:
        raise InvalidToken(str(error)) from error
    if SESSION_CLAIM not in token:
        raise InvalidToken(_("The token names no session."))
    return token


def replace_jti(token: SessionToken) -> bool:
    """Make the next refresh token of the session of a token; False when that one was used before."""
    unused = OutstandingToken.objects.filter(jti=token[api_settings.JTI_CLAIM])
    token.set_jti()
    token.set_iat()
    token.set_exp()
    # One statement on one row, so that of several transactions one finds it.
    return bool(
        unused.update(
            jti=token[api_settings.JTI_CLAIM],
            token="",
            created_at=token.current_time,
            expires_at=token.expires_at,
        )
    )


@transaction.atomic
def delete_session(token: SessionToken) -> bool:
    """End every token of the session of a token; False when it has ended already."""
    _rows, rows_by_model = rows_of_session(token[SESSION_CLAIM]).delete()
    tokens_revoked.send(User, user_id=int(token[api_settings.USER_ID_CLAIM]))
    return bool(rows_by_model)
