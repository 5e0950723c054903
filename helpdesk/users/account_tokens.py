"""Signed, expiring, single-use tokens for the links that confirm an address or reset a password."""

from django.contrib.auth.tokens import default_token_generator
from django.core.signing import BadSignature, TimestampSigner
from django.utils.http import base36_to_int, int_to_base36

from helpdesk.users.models import CONFIRMATION_LIFETIME, AddressChange, Registration, User

REGISTRATION_SALT = "helpdesk.users.registration"
ADDRESS_CHANGE_SALT = "helpdesk.users.address_change"


def make_registration_token(registration: Registration) -> str:
    """Return a token that is valid while the registration exists; its confirmation deletes it."""
    return TimestampSigner(salt=REGISTRATION_SALT).sign(int_to_base36(registration.pk))


def read_registration_token(token: str) -> int | None:
    """Return the id of the registration; None if the token is expired or its signature is wrong."""
    return read_signed_id(token, salt=REGISTRATION_SALT)


def make_address_change_token(change: AddressChange) -> str:
    """Return a token that is valid while the change is pending: until it is confirmed, replaced or cancelled."""
    return TimestampSigner(salt=ADDRESS_CHANGE_SALT).sign(int_to_base36(change.pk))


def read_address_change_token(token: str) -> int | None:
    """Return the id of the change of address; None if the token is expired or its signature is wrong."""
    return read_signed_id(token, salt=ADDRESS_CHANGE_SALT)


def read_signed_id(token: str, *, salt: str) -> int | None:
    try:
        return base36_to_int(TimestampSigner(salt=salt).unsign(token, max_age=CONFIRMATION_LIFETIME))
    except (BadSignature, ValueError):
        return None


def make_password_reset_token(user: User) -> str:
    """Return a token that is valid until PASSWORD_RESET_TIMEOUT, the next login, or a new password or address."""
    return f"{int_to_base36(user.pk)}-{default_token_generator.make_token(user)}"


def get_user_by_password_reset_token(token: str) -> User | None:
    """Return the active user of a token; None if the token is used or expired, or its signature is wrong."""
    user_id, _, rest = token.partition("-")
    try:
        user = User.objects.active().filter(pk=base36_to_int(user_id)).first()
    except ValueError:
        return None
    return user if default_token_generator.check_token(user, rest) else None
