"""What the admin pages of tickets, comments and events share."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.text import Truncator
from django.utils.timezone import localtime
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from helpdesk.core.admin import LargeTableAdmin
from helpdesk.tickets.filters import TicketFilter
from helpdesk.tickets.models import Comment, Ticket, TicketEvent
from helpdesk.tickets.search_results import MAXIMUM_RESULTS

MAX_INLINE_ROWS = 100
LINK_LENGTH = 50
EXCERPT_LENGTH = 80


def ticket_link(ticket_id: int, title: str | None) -> str:
    if title is None:
        return gettext("#%(id)d (deleted)") % {"id": ticket_id}
    url = reverse("admin:tickets_ticket_change", args=[ticket_id])
    return format_html('<a href="{}">#{} {}</a>', url, ticket_id, Truncator(title).chars(LINK_LENGTH))


@admin.display(description=_("time"))
def time(row: Comment | TicketEvent) -> str:
    return date_format(localtime(row.created_at), "SHORT_DATETIME_FORMAT")


def list_url(name: str, ticket_id: int | str) -> str:
    """Return the address of the list of a ticket's comments ("comment") or history ("ticketevent")."""
    return f"{reverse(f'admin:tickets_{name}_changelist')}?{urlencode({'q': f'#{ticket_id}'})}"


class TicketSearchAdmin(LargeTableAdmin):
    """Finds the rows of the tickets that the API's search finds, with the same limits: of the first MAXIMUM_RESULTS tickets."""

    search_fields = ["title"]
    search_help_text = _("Words or parts of words of the title, description and comments; #12 for ticket 12.")

    def get_search_results(
        self,
        request: HttpRequest,
        queryset: QuerySet[Any],
        search_term: str,
    ) -> tuple[QuerySet[Any], bool]:
        if not search_term:
            return queryset, False
        search = TicketFilter({"search": search_term}, queryset=self.searched_tickets(queryset))
        if not search.is_valid():
            self.message_user(request, " ".join(search.form.errors["search"]), messages.WARNING)
            return queryset.none(), False
        if not search.searched_words:
            return self.filter_by_tickets(queryset, search.qs, search_term), False
        results = search.search_results
        if results.count() > MAXIMUM_RESULTS:
            text = gettext("More than 1,000 tickets match; these are the first.")
            self.message_user(request, text, messages.WARNING)
        tickets = results.page(offset=0, size=MAXIMUM_RESULTS)
        return self.filter_by_tickets(queryset, tickets, search_term), False

    def searched_tickets(self, _queryset: QuerySet[Any]) -> QuerySet[Ticket]:
        """Return the tickets to search, in the order in which the first are listed."""
        return Ticket.objects.order_by("-created_at", "-id")

    def filter_by_tickets(self, queryset: QuerySet[Any], tickets: QuerySet[Ticket], _term: str) -> QuerySet[Any]:
        return queryset.filter(ticket__in=tickets)


class NewestRowsFormSet(forms.BaseInlineFormSet[Any, Ticket, Any]):
    """Shows the newest rows of a ticket as text.

    As forms, every POST would contain them all: Django would look up each, and count them towards its limit of fields.
    """

    queryset: QuerySet[Any]
    user_field: str
    list_name: str
    max_rows = MAX_INLINE_ROWS

    def get_queryset(self) -> QuerySet[Any]:
        return self.queryset.none()

    @cached_property
    def newest_and_one(self) -> list[Any]:
        return list(self.queryset.select_related(self.user_field).order_by("-pk")[: MAX_INLINE_ROWS + 1])

    @property
    def newest(self) -> list[Any]:
        """Return the newest rows, oldest of them first."""
        return self.newest_and_one[:MAX_INLINE_ROWS][::-1]

    @property
    def url_of_all(self) -> str | None:
        """Return the address of the list of all rows, None when all are shown."""
        return list_url(self.list_name, self.instance.pk) if len(self.newest_and_one) > MAX_INLINE_ROWS else None
