"""The tokens in links that are mailed to prove an address: single-use, signed and expiring."""

from django.contrib.auth.tokens import default_token_generator
from django.core.signing import BadSignature, TimestampSigner
from django.utils.http import base36_to_int, int_to_base36

from helpdesk.users.models import CONFIRMATION_LIFETIME, AddressChange, Registration, User


def registration_token(registration: Registration) -> str:
    """Return a token that works while the registration exists, which ends when it is used."""
    return registration_signer().sign(int_to_base36(registration.pk))


def read_registration_token(token: str) -> int | None:
    """Return the id of a registration; None for a token that is expired or not ours."""
    return number_in(token, registration_signer())


def address_change_token(change: AddressChange) -> str:
    """Return a token that works while the change is pending, which ends when it is used, replaced or cancelled."""
    return address_change_signer().sign(int_to_base36(change.pk))


def read_address_change_token(token: str) -> int | None:
    """Return the id of a change of address; None for a token that is expired or not ours."""
    return number_in(token, address_change_signer())


def number_in(token: str, signer: TimestampSigner) -> int | None:
    try:
        return base36_to_int(signer.unsign(token, max_age=CONFIRMATION_LIFETIME))
    except (BadSignature, ValueError):
        return None


def password_reset_token(user: User) -> str:
    """Return a token that works until PASSWORD_RESET_TIMEOUT, the next login, or a new password or address."""
    return f"{int_to_base36(user.pk)}-{default_token_generator.make_token(user)}"


def user_of_password_reset_token(token: str) -> User | None:
    """Return the active user whom a token is for; None for one that is used, expired or not ours."""
    number, _, rest = token.partition("-")
    try:
        user = User.objects.active().filter(pk=base36_to_int(number)).first()
    except ValueError:
        return None
    return user if default_token_generator.check_token(user, rest) else None


def registration_signer() -> TimestampSigner:
    return TimestampSigner(salt="helpdesk.users.registration")


def address_change_signer() -> TimestampSigner:
    return TimestampSigner(salt="helpdesk.users.address_change")
