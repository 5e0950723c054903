from django.contrib.auth import password_validation
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from helpdesk.users.hashers import normalize_password
from helpdesk.users.models import User

MAXIMUM_PASSWORD_LENGTH = 128


class MaximumLengthValidator:
    """Limits the length, and with it the time to hash."""

    def validate(self, password: str, user: User | None = None) -> None:
        if len(normalize_password(password)) > MAXIMUM_PASSWORD_LENGTH:
            raise ValidationError(
                _("This password is too long. It must contain at most %(maximum)d characters."),
                code="password_too_long",
                params={"maximum": MAXIMUM_PASSWORD_LENGTH},
            )

    def get_help_text(self) -> str:
        return _("Your password must contain at most %(maximum)d characters.") % {"maximum": MAXIMUM_PASSWORD_LENGTH}


class CommonPasswordValidator(password_validation.CommonPasswordValidator):
    """Also refuses common passwords written in full-width letters."""

    def validate(self, password: str, user: User | None = None) -> None:
        super().validate(normalize_password(password), user)
