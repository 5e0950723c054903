"""Users, and what they have asked for and not confirmed yet: registrations and changes of address."""

from datetime import timedelta
from typing import Any, ClassVar, Self

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy as _

from helpdesk.core.text import validate_one_line, validate_visible

CONFIRMATION_LIFETIME = timedelta(days=1)
MAXIMUM_USERNAME_LENGTH = 150


class Role(models.TextChoices):
    CUSTOMER = "customer", _("Customer")
    AGENT = "agent", _("Agent")


class Language(models.TextChoices):
    ENGLISH = "en", _("English")
    SPANISH = "es", _("Spanish")


class UserQuerySet(models.QuerySet["User"]):
    def agents(self) -> Self:
        return self.filter(role=Role.AGENT)

    def active(self) -> Self:
        return self.filter(is_active=True)

    def with_email(self, email: str) -> Self:
        """Match an address case-insensitively, by the unique index."""
        return self.alias(lower_email=Lower("email")).filter(lower_email=Lower(models.Value(email)))

    def visible_to(self, user: "User") -> Self:
        """Agents see all users, customers only themselves."""
        return self.all() if user.is_agent else self.filter(pk=user.pk)


class UserManager(BaseUserManager["User"].from_queryset(UserQuerySet)):  # type: ignore[misc] # mypy: computed base
    def create_user(self, username: str, email: str, password: str | None = None, **fields: Any) -> "User":
        """Save a new user, by default a customer; without a password the user cannot log in."""
        user: User = self.model(username=username, email=self.normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, username: str, email: str, password: str | None = None, **fields: Any) -> "User":
        return self.create_user(username, email, password, role=Role.AGENT, is_superuser=True, **fields)


class User(AbstractBaseUser):
    """A customer, who sees their own tickets, or an agent, who sees all; a superuser also manages users."""

    username = models.CharField(
        _("username"), max_length=MAXIMUM_USERNAME_LENGTH, unique=True, validators=[UnicodeUsernameValidator()]
    )
    email = models.EmailField(_("e-mail address"))
    name = models.CharField(_("name"), max_length=150, blank=True, validators=[validate_one_line, validate_visible])
    role = models.CharField(_("role"), max_length=10, choices=Role, default=Role.CUSTOMER)
    language = models.CharField(_("language"), max_length=5, choices=Language, default=Language.ENGLISH)
    is_active = models.BooleanField(
        _("active"), default=True, help_text=_("Deactivate users instead of deleting them.")
    )
    is_superuser = models.BooleanField(_("superuser"), default=False, help_text=_("Has all permissions."))
    date_joined = models.DateTimeField(_("date joined"), default=timezone.now, editable=False)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "username"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS = ["email"]

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")
        constraints = [
            models.UniqueConstraint(
                Lower("email"),
                name="users_user_email_unique",
                violation_error_message=_("A user with that e-mail address already exists."),
            ),
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="users_user_role_known"),
            models.CheckConstraint(condition=models.Q(language__in=Language.values), name="users_user_language_known"),
            models.CheckConstraint(
                condition=models.Q(is_superuser=False) | models.Q(role=Role.AGENT),
                name="users_user_superuser_is_agent",
                violation_error_message=_("A superuser must be an agent."),
            ),
        ]
        indexes = [models.Index(fields=["role", "username"], name="users_user_role_username")]

    def __str__(self) -> str:
        return self.username

    @property
    def is_agent(self) -> bool:
        return self.role == Role.AGENT

    @property
    def is_staff(self) -> bool:
        """Whether the user may log in to the admin, whose pages have permissions of their own."""
        return self.is_agent

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """Bind admin sessions to the password, as Django does, and to the address: a change of either ends them."""
        bound_to = f"{self.password} {self.email}"
        return salted_hmac("helpdesk.users.session", bound_to, secret=secret, algorithm="sha256").hexdigest()

    @property
    def pending_email(self) -> str | None:
        """The new address that awaits confirmation, if any; each access is a query."""
        return AddressChange.objects.pending().filter(user=self).values_list("email", flat=True).first()

    def has_perm(self, perm: str, obj: object = None) -> bool:
        return self.is_active and self.is_superuser

    def has_module_perms(self, app_label: str) -> bool:
        return self.is_active and self.is_superuser

    def get_full_name(self) -> str:
        return self.name or self.username

    def get_short_name(self) -> str:
        return self.get_full_name()


class ConfirmableQuerySet(models.QuerySet[Any]):
    """Rows that their `created_at` lets expire after CONFIRMATION_LIFETIME."""

    def pending(self) -> Self:
        return self.filter(created_at__gte=timezone.now() - CONFIRMATION_LIFETIME)

    def expired(self) -> Self:
        return self.filter(created_at__lt=timezone.now() - CONFIRMATION_LIFETIME)


class Registration(models.Model):
    """A customer's registration whose e-mail address is not confirmed yet.

    It reserves the username whether or not the address has an account, so that responses do not reveal accounts.
    """

    username = models.CharField(_("username"), max_length=MAXIMUM_USERNAME_LENGTH, unique=True)
    email = models.EmailField(_("e-mail address"))
    name = models.CharField(_("name"), max_length=150, blank=True)
    language = models.CharField(_("language"), max_length=5, choices=Language)
    password = models.CharField(_("password"), max_length=128)
    created_at = models.DateTimeField(_("time"), default=timezone.now, editable=False)

    objects = ConfirmableQuerySet.as_manager()

    class Meta:
        verbose_name = _("registration")
        verbose_name_plural = _("registrations")
        indexes = [models.Index(fields=["created_at"], name="users_registration_created")]

    def __str__(self) -> str:
        return self.username


class AddressChange(models.Model):
    """A user's new e-mail address that is not confirmed yet; stored whether or not the address has an account.

    `session` is the id of the session that requested it, the only one that survives the confirmation.
    """

    user = models.OneToOneField(User, models.CASCADE, verbose_name=_("user"), related_name="address_change")
    email = models.EmailField(_("e-mail address"))
    session = models.CharField(_("session"), max_length=32, blank=True, default="", db_default="")
    created_at = models.DateTimeField(_("time"), default=timezone.now, editable=False)

    objects = ConfirmableQuerySet.as_manager()

    class Meta:
        verbose_name = _("change of address")
        verbose_name_plural = _("changes of address")
        indexes = [models.Index(fields=["created_at"], name="users_addresschange_created")]

    def __str__(self) -> str:
        return self.email
