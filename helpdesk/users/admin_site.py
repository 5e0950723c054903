"""The admin site: passwords are checked as in the API; past a limit or without Redis the response is a page."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.forms import AdminAuthenticationForm, AdminPasswordChangeForm
from django.contrib.auth.views import PasswordChangeView
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse_lazy
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from rest_framework.exceptions import AuthenticationFailed, Throttled

from helpdesk.core.admin import refuse_nul
from helpdesk.core.errors import ServiceUnavailable, get_error_headers, is_admin_page
from helpdesk.users.actions import change_password
from helpdesk.users.credentials import LockedOut, check_credentials
from helpdesk.users.models import User


class AgentLoginForm(AdminAuthenticationForm):
    """Answers a customer's right password like a wrong one."""

    request: HttpRequest

    def clean(self) -> dict[str, Any]:
        username, password = self.cleaned_data.get("username"), self.cleaned_data.get("password")
        if username and password:
            try:
                self.user_cache = check_credentials(
                    self.request, username=username, password=password, is_allowed=lambda user: user.is_staff
                )
            except AuthenticationFailed:
                raise self.get_invalid_login_error() from None
        return self.cleaned_data


class OwnPasswordForm(AdminPasswordChangeForm):
    user: User

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request

    def clean_old_password(self) -> str:
        password: str = self.cleaned_data["old_password"]
        try:
            check_credentials(self.request, username=self.user.username, password=password)
        except AuthenticationFailed:
            raise ValidationError(self.error_messages["password_incorrect"], "password_incorrect") from None
        return password

    def save(self, commit: bool = True) -> User:  # noqa: FBT001, FBT002 -- Django's signature
        change_password(self.user, new_password=self.cleaned_data["new_password1"])
        return self.user


class OwnPasswordView(PasswordChangeView):
    form_class = OwnPasswordForm
    success_url = reverse_lazy("admin:password_change_done")

    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "request": self.request}


class HelpdeskAdminSite(admin.AdminSite):
    site_header = site_title = "Helpdesk"
    login_form = AgentLoginForm

    @method_decorator(never_cache)
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        try:
            return super().login(request, extra_context)
        except (Throttled, ServiceUnavailable) as error:
            return login_refused(request, error)

    def password_change(  # type: ignore[override] # the stub allows no other response than the form
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponseBase:
        request.current_app = self.name
        context = {**self.each_context(request), **(extra_context or {})}
        try:
            return OwnPasswordView.as_view(extra_context=context)(request)
        except (Throttled, ServiceUnavailable) as error:
            return login_refused(request, error)

    def autocomplete_view(self, request: HttpRequest) -> HttpResponse:
        refuse_nul(request)
        return super().autocomplete_view(request)


def locked_out(request: HttpRequest, response: HttpResponse, credentials: Any) -> HttpResponse:
    """AXES_LOCKOUT_CALLABLE: a page in the admin; the API answers the failure that locks a username like the others."""
    return login_refused(request, LockedOut()) if is_admin_page(request) else response


def login_refused(request: HttpRequest, error: Throttled | ServiceUnavailable) -> HttpResponse:
    """Return the page for a password that was not checked: 429, or 503 without Redis."""
    match error:
        case LockedOut():
            title = _("Too many failed logins.")
        case Throttled():
            title = _("Too many login attempts.")
        case _:
            title = _("Login is temporarily unavailable.")
    headers = get_error_headers(error)
    seconds = int(headers["Retry-After"])
    context = {
        **admin.site.each_context(request),
        "title": title,
        "is_locked": isinstance(error, LockedOut),
        "minutes": seconds // 60,
        "seconds": seconds,
    }
    page = render(request, "admin/login_refused.html", context, status=error.status_code)
    page.headers["Retry-After"] = headers["Retry-After"]
    return page
