"""Everything that changes users, their pending registrations and e-mail addresses, and their sessions."""

from collections.abc import Mapping
from typing import Any, TypedDict

from axes.models import AccessAttempt
from axes.utils import reset as reset_failed_logins
from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.contrib.sessions.models import Session
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

from helpdesk.core.cleanup import delete_in_ranges
from helpdesk.users.account_tokens import (
    get_user_by_password_reset_token,
    read_address_change_token,
    read_registration_token,
)
from helpdesk.users.authentication import SessionToken, TokenRejected, get_session, get_token_user, read_refresh_token
from helpdesk.users.models import AddressChange, Language, Registration, User
from helpdesk.users.signals import (
    address_change_requested,
    password_reset_requested,
    registration_requested,
    tokens_revoked,
    user_changed,
)

# The password is changed by `change_password`, which also revokes tokens.
CHANGEABLE_FIELDS = frozenset({"username", "email", "name", "role", "language", "is_active", "is_superuser"})


class TokenPair(TypedDict):
    """An access token, valid for one hour, and a refresh token, valid once within seven days."""

    access: str
    refresh: str


# Users


@transaction.atomic
def add_user(user: User, *, by: User) -> None:
    """Save a new user; sends `user_changed`. Raises IntegrityError if the username or address is taken."""
    user.save(force_insert=True)
    user_changed.send(User, user=user, by=by, changed=frozenset())


@transaction.atomic
def update_user(user_id: int, *, changes: Mapping[str, Any], by: User, kept_session: str = "") -> User:
    """Lock a user, write those of the given fields that differ, and return the user as saved.

    A new address or a deactivation cancels a pending address; a new address ends all sessions but `kept_session`.
    Raises User.DoesNotExist, ValueError for a field that is not in CHANGEABLE_FIELDS, and IntegrityError when the
    changes conflict with a constraint.
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
        end_sessions(user, kept_session=kept_session)
    user_changed.send(User, user=user, by=by, changed=frozenset(changed))
    return user


@transaction.atomic
def update_profile(user: User, *, changes: Mapping[str, str], session: str = "") -> User:
    """Save a user's own changes; a new e-mail address stays pending until it is confirmed.

    `session` is the id of the session that makes the change and survives the confirmation of the address.
    """
    immediate = {field: value for field, value in changes.items() if field != "email"}
    user = update_user(user.pk, changes=immediate, by=user)
    if "email" in changes:
        request_address_change(user, changes["email"], session=session)
    return user


def request_address_change(user: User, email: str, *, session: str) -> None:
    """Start a change of address in place of a pending one; the current address cancels it.

    Does the same for an address that another account has, so that callers cannot find out which accounts exist.
    """
    AddressChange.objects.filter(user=user).delete()
    if email != user.email:
        change = AddressChange.objects.create(user=user, email=email, session=session)
        address_change_requested.send(AddressChange, change=change)


@transaction.atomic
def change_password(user: User, *, new_password: str | None) -> None:
    """Set the password (None: an unusable one) and revoke all tokens and admin sessions.

    Also cancels a pending address, which may have been requested with the old password.
    """
    user.set_password(new_password)
    user.save(update_fields=["password"])
    AddressChange.objects.filter(user=user).delete()
    tokens_revoked.send(User, user_id=user.pk)


# Registration, confirmation of addresses, password reset


@transaction.atomic
def register(*, username: str, email: str, password: str, name: str, language: Language) -> None:
    """Reserve a username for a day and request a confirmation e-mail; raises ValidationError if it is taken.

    Does the same for an address that has an account, so that callers cannot find out which accounts exist.
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
    """Confirm the address of a registration or of a change of address; return the user who has it now.

    Raises ValidationError if the token is invalid, used or expired, or the address has been taken.
    """
    change_id = read_address_change_token(token)
    return confirm_registration(token) if change_id is None else confirm_address_change(change_id)


@transaction.atomic
def confirm_registration(token: str) -> User:
    registration = Registration.objects.select_for_update().filter(pk=read_registration_token(token) or 0).first()
    if registration is None or is_address_taken(registration.email):
        raise invalid_link()
    user = User(
        username=registration.username,
        email=registration.email,
        name=registration.name,
        language=registration.language,
        password=registration.password,
    )
    registration.delete()
    add_user(user, by=user)
    return user


@transaction.atomic
def confirm_address_change(change_id: int) -> User:
    users = User.objects.select_for_update(no_key=True, of=("self",))
    user: User | None = users.filter(address_change=change_id).first()
    # Read after the lock on the user, which everything that replaces, cancels or confirms the change takes first.
    change = AddressChange.objects.pending().filter(pk=change_id).first()
    if user is None or change is None or not user.is_active or is_address_taken(change.email, exclude=user):
        raise invalid_link()
    return update_user(user.pk, changes={"email": change.email}, by=user, kept_session=change.session)


def is_address_taken(email: str, *, exclude: User | None = None) -> bool:
    users = User.objects.with_email(email).exclude(pk=exclude.pk if exclude else None)
    found: bool = users.exists()
    return found


@transaction.atomic
def request_password_reset(*, email: str, language: str) -> None:
    """Request the e-mail with a reset link; whether the address has an account is looked up when it is sent."""
    password_reset_requested.send(User, email=email, language=language)


def get_user_for_password_reset(token: str) -> User:
    """Return the user whom a mailed token entitles to set a password; raises ValidationError."""
    user = get_user_by_password_reset_token(token)
    if user is None:
        raise invalid_link()
    return user


def reset_password(token: str, *, new_password: str) -> None:
    """Set the password, which makes the token invalid, and end a lockout. Raises ValidationError."""
    with transaction.atomic():
        user_id = get_user_for_password_reset(token).pk
        # Of two calls with one token the second waits here, and then finds the token used.
        User.objects.select_for_update(no_key=True).get(pk=user_id)
        user = get_user_for_password_reset(token)
        change_password(user, new_password=new_password)
    reset_failed_logins(username=user.username)


def invalid_link() -> ValidationError:
    message = _("This link is invalid, has expired or has already been used. Request a new one.")
    return ValidationError({"token": ValidationError(message, code="bad_token")})


# Sessions and tokens


def issue_tokens(user: User) -> TokenPair:
    """Start a session."""
    token = SessionToken.for_user(user)
    OutstandingToken.objects.create(user=user, **token.row)
    return {"access": str(token.access_token), "refresh": str(token)}


def rotate_refresh_token(refresh: str) -> TokenPair:
    """Trade a refresh token for a new pair; of concurrent calls with one token a single one succeeds.

    A token that was used before ends its session: it may have been stolen, and the two callers cannot be distinguished
    (RFC 9700, section 4.14.2). Raises TokenRejected.
    """
    token = read_refresh_token(refresh)
    get_token_user(token)
    if not replace_refresh_token(token):
        # In a transaction of its own, which the exception does not roll back.
        end_session(token)
        raise TokenRejected(_("This refresh token was already used. Its session has been ended."))
    return {"access": str(token.access_token), "refresh": str(token)}


def revoke_refresh_token(refresh: str) -> None:
    """End the session of a refresh token, used or not; raises TokenRejected if it has already ended."""
    if not end_session(read_refresh_token(refresh)):
        raise TokenRejected(_("The user has logged out."))


def replace_refresh_token(token: SessionToken) -> bool:
    """Turn a token into the next one of its session; returns False if it was used before."""
    unused = OutstandingToken.objects.filter(jti=token[api_settings.JTI_CLAIM])
    token.set_jti()
    token.set_iat()
    token.set_exp()
    # One UPDATE of one row: of concurrent transactions a single one matches it.
    return bool(unused.update(**token.row))


@transaction.atomic
def end_session(token: SessionToken) -> bool:
    """Revoke every token of the session of a token; returns False if it has already ended."""
    deleted, _rows_by_model = get_session(token).delete()
    tokens_revoked.send(User, user_id=int(token[api_settings.USER_ID_CLAIM]))
    return bool(deleted)


def end_sessions(user: User, *, kept_session: str) -> None:
    """Revoke every token of a user's sessions but those of one session ("": of none)."""
    rows = OutstandingToken.objects.filter(user=user)
    if kept_session:
        rows = rows.exclude(jti__startswith=f"{kept_session}.")
    rows.delete()
    tokens_revoked.send(User, user_id=user.pk)


# Clean-up; each returns the number of rows that it has deleted.


def delete_expired_registrations() -> int:
    """Delete registrations that were not confirmed in time, which frees their usernames."""
    return delete_in_ranges(Registration.objects.expired())


def delete_expired_address_changes() -> int:
    """Delete addresses that were not confirmed in time."""
    return delete_in_ranges(AddressChange.objects.expired())


def delete_expired_tokens() -> int:
    """Delete sessions whose refresh token has expired."""
    # No `stop_at`: an old row stays as long as its session is refreshed.
    return delete_in_ranges(OutstandingToken.objects.filter(expires_at__lt=timezone.now()))


def delete_expired_sessions() -> int:
    """Delete expired sessions of the admin."""
    return delete_in_ranges(Session.objects.filter(expire_date__lt=timezone.now()))


def delete_old_login_failures() -> int:
    """Delete failed logins that no longer count towards a lockout."""
    return delete_in_ranges(AccessAttempt.objects.filter(attempt_time__lt=timezone.now() - settings.AXES_COOLOFF_TIME))
