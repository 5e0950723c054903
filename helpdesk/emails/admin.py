"""The outbox in the admin: agents see each e-mail with its attempts and can send it again."""

from collections.abc import Sequence
from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.admin.templatetags.admin_urls import add_preserved_filters
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path, reverse
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.text import Truncator
from django.utils.timezone import localtime
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from helpdesk.core.admin import ReadOnlyAdmin
from helpdesk.emails.actions import resend
from helpdesk.emails.messages import render_preview
from helpdesk.emails.models import Attempt, Email, EmailQuerySet
from helpdesk.tickets.models import Ticket
from helpdesk.users.admin import AgentModelAdmin, AgentPermissionsMixin

EXCERPT_LENGTH = 60


class AttemptInline(AgentPermissionsMixin, admin.TabularInline[Attempt, Email]):
    model = Attempt
    fields = ["started_at", "outcome", "error"]
    can_delete = False
    max_num = 0

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Email)
class EmailAdmin(ReadOnlyAdmin, AgentModelAdmin):
    list_display = ["time", "address", "subject", "state", "attempts", "error_excerpt"]
    list_filter = ["state", "kind"]
    search_fields = ["address"]
    search_help_text = _("The beginning of an address, or #12 for ticket 12.")
    ordering = ["-id"]
    sortable_by = []
    inlines = [AttemptInline]
    actions = ["resend_selected"]
    fields = [
        ("address", "language"),
        ("kind", "subject"),
        ("state", "error"),
        ("created_at", "next_attempt_at", "sent_at"),
        "request_id",
        "preview",
    ]

    @admin.display(description=_("time"))
    def time(self, email: Email) -> str:
        return date_format(localtime(email.created_at), "SHORT_DATETIME_FORMAT")

    @admin.display(description=_("error"))
    def error_excerpt(self, email: Email) -> str:
        return Truncator(email.error).chars(EXCERPT_LENGTH)

    @admin.display(description=_("preview"))
    def preview(self, email: Email) -> str:
        """Show it as it would be sent now, in a sandboxed frame without scripts."""
        try:
            body = render_preview(email)
        except Ticket.DoesNotExist:
            return gettext("The ticket was deleted.")
        except Exception as error:  # noqa: BLE001 -- the page shows why an e-mail is dead
            return f"{type(error).__name__}: {error}"
        style = "width: 660px; max-width: 100%; height: 560px; border: 1px solid #ccc; background: #fff"
        return format_html('<iframe sandbox srcdoc="{}" style="{}" title="HTML"></iframe>', body.html, style)

    def get_search_results(
        self,
        request: HttpRequest,
        queryset: QuerySet[Any],
        search_term: str,
    ) -> tuple[QuerySet[Any], bool]:
        if search_term.startswith("#") and search_term[1:].isdecimal():
            return queryset.filter(event__ticket_id=int(search_term[1:16])), False
        return cast("EmailQuerySet", queryset).to_address(search_term) if search_term else queryset, False

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_POST(self.resend_view))
        return [path("<int:email_id>/resend/", view, name="emails_email_resend"), *super().get_urls()]

    def resend_view(self, request: HttpRequest, email_id: int) -> HttpResponse:
        email = get_object_or_404(Email, pk=email_id)
        if not self.has_view_permission(request, email):
            raise PermissionDenied
        self.resend_emails(request, [email])
        page = reverse("admin:emails_email_change", args=[email_id])
        filters = self.get_preserved_filters(request)
        return redirect(add_preserved_filters({"opts": self.opts, "preserved_filters": filters}, page))

    @admin.action(description=_("Send selected e-mails again"), permissions=["view"])
    def resend_selected(self, request: HttpRequest, emails: QuerySet[Email]) -> None:
        self.resend_emails(request, list(emails))

    def resend_emails(self, request: HttpRequest, emails: Sequence[Email]) -> None:
        for email in emails:
            resend(email)
        text = ngettext("%(count)d e-mail will be sent.", "%(count)d e-mails will be sent.", len(emails))
        self.message_user(request, text % {"count": len(emails)}, messages.SUCCESS)
