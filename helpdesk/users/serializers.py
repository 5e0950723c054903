"""Request and response bodies for users, credentials and accounts."""

from typing import Any

from django.contrib.auth import password_validation
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from helpdesk.core.fields import OneLineField, TextField
from helpdesk.users.models import MAXIMUM_USERNAME_LENGTH, Language, User
from helpdesk.users.password_validation import MAXIMUM_PASSWORD_LENGTH

# Stricter than for administrators: no two such names look alike.
USERNAME = r"^[A-Za-z0-9_.@+-]+$"


class PasswordField(TextField):
    def __init__(self, **kwargs: Any) -> None:
        style = {"input_type": "password"}
        super().__init__(max_length=MAXIMUM_PASSWORD_LENGTH, trim_whitespace=False, style=style, **kwargs)


class CredentialsSerializer(serializers.Serializer[User]):
    username = TextField(max_length=MAXIMUM_USERNAME_LENGTH)
    password = PasswordField()


class RefreshTokenSerializer(serializers.Serializer[User]):
    refresh = TextField(max_length=2000)


class TokenPairSerializer(serializers.Serializer[User]):
    access = serializers.CharField()
    refresh = serializers.CharField()


class UserSerializer(serializers.ModelSerializer[User]):
    class Meta:
        model = User
        fields = ["id", "username", "name", "role", "email", "language", "is_active", "date_joined"]
        read_only_fields = fields
        extra_kwargs = {"is_active": {"help_text": "Whether the user can log in."}}


class MeSerializer(UserSerializer):
    """The authenticated user."""

    pending_email = serializers.EmailField(
        read_only=True,
        allow_null=True,
        help_text="The new address, which replaces `email` once it is confirmed.",
    )

    class Meta(UserSerializer.Meta):
        fields = [*UserSerializer.Meta.fields, "pending_email"]
        read_only_fields = fields


class ProfileSerializer(serializers.ModelSerializer[User]):
    """The fields of their own account that users may change."""

    name = OneLineField(max_length=150, allow_blank=True, required=False)
    email = serializers.EmailField(max_length=254, required=False)
    current_password = PasswordField(required=False, write_only=True, help_text="Required to change `email`.")
    language = serializers.ChoiceField(choices=Language.choices, required=False)

    class Meta:
        model = User
        fields = ["name", "email", "current_password", "language"]

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        current = self.instance.email if self.instance else None
        if attrs.get("email", current) != current and "current_password" not in attrs:
            message = self.fields["current_password"].error_messages["required"]
            raise serializers.ValidationError({"current_password": [message]}, code="required")
        return attrs


class RegistrationSerializer(serializers.Serializer[User]):
    username = TextField(
        max_length=MAXIMUM_USERNAME_LENGTH,
        trim_whitespace=False,
        pattern=USERNAME,
        validators=[RegexValidator(USERNAME.replace("$", r"\Z"), _("Use only ASCII letters, digits and @ . + - _"))],
    )
    email = serializers.EmailField(max_length=254)
    password = PasswordField()
    name = OneLineField(max_length=150, allow_blank=True, default="")
    language = serializers.ChoiceField(
        choices=Language.choices,
        required=False,
        help_text="Defaults to the language of the request.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        user = User(username=attrs["username"], email=attrs["email"], name=attrs["name"])
        check_password_strength("password", attrs["password"], user)
        return attrs


class AccountTokenSerializer(serializers.Serializer[User]):
    token = TextField(max_length=200, help_text="The token from the link in the e-mail.")


class AddressSerializer(serializers.Serializer[User]):
    email = serializers.EmailField(max_length=254)


class PasswordResetSerializer(AccountTokenSerializer):
    new_password = PasswordField()


def check_password_strength(field: str, password: str, user: User) -> None:
    """Raise ValidationError with the code `weak_password` for a field."""
    try:
        password_validation.validate_password(password, user)
    except ValidationError as error:
        raise serializers.ValidationError({field: error.messages}, code="weak_password") from error


class PasswordChangeSerializer(serializers.Serializer[User]):
    current_password = PasswordField()
    new_password = PasswordField()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        check_password_strength("new_password", attrs["new_password"], self.context["request"].user)
        return attrs
