"""The tokens in links that are mailed to prove an address: single-use, signed and expiring."""

from datetime import timedelta

from django.contrib.auth.tokens import default_token_generator
from django.core.signing import BadSignature, TimestampSigner
from django.utils.http import base36_to_int, int_to_base36

from helpdesk.users.models import Registration, User

REGISTRATION_LIFETIME = timedelta(days=1)


def registration_token(registration: Registration) -> str:
    """Return a token that works while the registration exists, which ends when it is used."""
    return registration_signer().sign(int_to_base36(registration.pk))


def read_registration_token(token: str) -> int | None:
    """Return the id of a registration; None for a token that is expired or not ours."""
    try:
        return base36_to_int(registration_signer().unsign(token, max_age=REGISTRATION_LIFETIME))
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
