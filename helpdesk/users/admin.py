"""Permissions of agents in the admin, and the pages for users and failed logins, which only superusers see."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar

from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django import forms
from django.contrib import admin, messages
from django.contrib.auth import admin as auth_admin
from django.contrib.auth import forms as auth_forms
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError
from django.db.models import PROTECT
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken

from helpdesk.core.admin import ChangedFieldsAdmin, LargeTableAdmin, ReadOnlyAdmin
from helpdesk.users.actions import add_user, change_password, update_user
from helpdesk.users.filters import SEARCH_FIELDS
from helpdesk.users.models import User, UserQuerySet

# Permissions come from roles, the two logs are switched off, and tokens are secret.
admin.site.unregister([Group, AccessAttempt, AccessLog, AccessFailureLog, OutstandingToken, BlacklistedToken])


def get_agent(request: HttpRequest) -> User:
    """Return the logged-in agent; raises PermissionDenied."""
    if not isinstance(request.user, User) or not request.user.is_agent:
        raise PermissionDenied
    return request.user


class AgentPermissionsMixin:
    """Gives every agent all permissions that an admin or inline class does not take away."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        return isinstance(request.user, User) and request.user.is_active and request.user.is_agent

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_module_permission(request)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_module_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_module_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_module_permission(request)


class AgentModelAdmin(AgentPermissionsMixin, LargeTableAdmin):
    pass


class UniqueEmailMixin(forms.ModelForm[User]):
    """Reports a taken address as an error of its field; the constraint would report it for the whole form."""

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"]
        if User.objects.with_email(email).exclude(pk=self.instance.pk).exists():
            raise ValidationError(_("A user with that e-mail address already exists."), code="unique")
        return email


class UserForm(UniqueEmailMixin, auth_forms.UserChangeForm[User]):
    class Meta(auth_forms.UserChangeForm.Meta):
        model = User


class NewUserForm(UniqueEmailMixin, auth_forms.UserCreationForm[User]):
    class Meta(auth_forms.UserCreationForm.Meta):
        model = User
        fields = ("username", "email", "name", "role", "language")


class PasswordForm(auth_forms.AdminPasswordChangeForm[User]):
    user: User

    def save(self, commit: bool = True) -> User:  # noqa: FBT001, FBT002 -- Django's signature
        has_password = self.cleaned_data["set_usable_password"]
        change_password(self.user, new_password=self.cleaned_data["password1"] if has_password else None)
        return self.user


@admin.register(User)
class UserAdmin(auth_admin.UserAdmin[User], ChangedFieldsAdmin):
    form = UserForm
    add_form = NewUserForm
    add_form_template = None
    change_password_form = PasswordForm
    list_display = ["username", "name", "email", "role", "is_active"]
    list_filter = ["role", "is_active", "is_superuser", "language"]
    search_fields = SEARCH_FIELDS
    ordering = ["username"]
    filter_horizontal = []
    readonly_fields: ClassVar[list[Any]] = ["pending_email", "last_login", "date_joined"]
    actions = ["deactivate"]
    fieldsets: ClassVar[list[Any]] = [
        (None, {"fields": ["username", "password"]}),
        (_("Personal info"), {"fields": ["name", "email", "pending_email", "language"]}),
        (_("Permissions"), {"fields": ["role", "is_active", "is_superuser"]}),
        (_("Dates"), {"fields": ["last_login", "date_joined"]}),
    ]
    add_fieldsets = [
        (None, {"fields": ["username", "password1", "password2"]}),
        (_("Personal info"), {"fields": ["name", "email", "language"]}),
        (_("Permissions"), {"fields": ["role"]}),
    ]

    @classmethod
    def add_section(cls, title: str | Promise, value: Callable[[User], str]) -> None:
        """Show a value that belongs to another app, read-only, on the pages of users."""
        cls.readonly_fields.append(value)
        cls.fieldsets.append((title, {"fields": [value]}))

    @admin.display(description=_("pending e-mail address"))
    def pending_email(self, user: User) -> str | None:
        return user.pending_email

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:  # noqa: FBT001 -- Django's
        if not change:
            add_user(obj, by=get_agent(request))
            return
        changes = {name: form.cleaned_data[name] for name in form.changed_data}
        try:
            user = update_user(obj.pk, changes=changes, by=get_agent(request))
        except IntegrityError as error:
            message = _("Another user has made a conflicting change. Check the current values and try again.")
            raise ValidationError(message, code="conflict") from error
        if user == request.user:
            # A new address ends the sessions of the admin, this one included.
            update_session_auth_hash(request, user)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    @admin.action(description=_("Deactivate selected users"), permissions=["change"])
    def deactivate(self, request: HttpRequest, users: UserQuerySet) -> None:
        """Deactivate all but the current user, who would be locked out."""
        changed = 0
        for user_id in users.active().exclude(pk=get_agent(request).pk).values_list("pk", flat=True):
            with suppress(User.DoesNotExist):
                update_user(user_id, changes={"is_active": False}, by=get_agent(request))
                changed += 1
        text = ngettext("%(count)d user was deactivated.", "%(count)d users were deactivated.", changed)
        self.message_user(request, text % {"count": changed}, messages.SUCCESS)

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[str]]:
        """Name the kinds of rows that protect a user from deletion; Django would list every row."""
        protecting = [relation.field for relation in self.opts.related_objects if relation.on_delete is PROTECT]
        protected = [
            f"{field.model._meta.verbose_name_plural} ({field.verbose_name})"  # noqa: SLF001 -- Django's public API
            for field in protecting
            if field.model._base_manager.filter(**{f"{field.name}__in": objs}).exists()  # noqa: SLF001 -- likewise
        ]
        return [str(user) for user in objs], {str(self.opts.verbose_name_plural): len(objs)}, set(), protected


@admin.register(AccessAttempt)
class FailedLoginAdmin(ReadOnlyAdmin):
    """Failed logins; deleting those of a username unlocks it."""

    list_display = ["username", "ip_address", "attempt_time", "failures_since_start"]
    search_fields = ["username", "ip_address"]
    ordering = ["-attempt_time", "-pk"]
    fields = ["username", "ip_address", "attempt_time", "failures_since_start", "path_info", "user_agent"]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return isinstance(request.user, User) and request.user.is_active and request.user.is_superuser
