"""The events of tickets in the admin."""

from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils.text import Truncator
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from helpdesk.core.admin import ReadOnlyAdmin
from helpdesk.tickets.admin.base import EXCERPT_LENGTH, NewestRowsFormSet, TicketSearchAdmin, ticket_link, time
from helpdesk.tickets.models import EventKind, Priority, Status, Ticket, TicketEvent
from helpdesk.tickets.search import TICKET_NUMBER
from helpdesk.users.admin import AgentModelAdmin, AgentPermissionsMixin


def value_display(kind: str, value: Any) -> str:
    """Return `old` or `new` of an event of that kind as text in the language of the page."""
    match kind, value:
        case EventKind.STATUS_CHANGED, str():
            return str(dict(Status.choices).get(value, value))
        case EventKind.PRIORITY_CHANGED, str():
            return str(next((priority.label for priority in Priority if priority.name.lower() == value), value))
        case EventKind.ASSIGNEE_CHANGED, None:
            return gettext("nobody")
        case _, {"username": name} | {"title": name}:
            return str(name)
        case _, None:
            return ""
        case _:
            return str(value)


def change_display(event: TicketEvent) -> str:
    """Return what an event changed as one short line, such as "Open → Closed"."""
    old, new = (Truncator(value_display(event.kind, value)).chars(EXCERPT_LENGTH) for value in (event.old, event.new))
    return f"{old} → {new}" if old and new else old or new


class EventFormSet(NewestRowsFormSet):
    user_field = "actor"
    list_name = "ticketevent"

    @property
    def newest(self) -> list[Any]:
        return [(event, change_display(event)) for event in super().newest]


class EventInline(AgentPermissionsMixin, admin.TabularInline[TicketEvent, Ticket]):
    model = TicketEvent
    formset = EventFormSet
    template = "admin/tickets/ticket/events.html"
    fields = []
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(TicketEvent)
class TicketEventAdmin(TicketSearchAdmin, ReadOnlyAdmin, AgentModelAdmin):
    """The ledger, read-only. An event of a deleted ticket has no ticket to join."""

    search_help_text = _("#12 for ticket 12, deleted or not; or words of tickets and their comments.")
    list_display = [time, "of_ticket", "kind", "change", "actor", "source"]
    list_filter = ["kind", "source"]
    list_select_related = ["actor"]
    ordering = ["-id"]
    sortable_by = []
    fields = [
        "created_at",
        "of_ticket",
        "kind",
        "old_value",
        "new_value",
        "done_by",
        "source",
        "request_id",
        "announced_at",
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        title = Ticket.objects.filter(pk=OuterRef("ticket_id")).values("title")
        events: QuerySet[TicketEvent] = super().get_queryset(request)
        return events.annotate(ticket_title=Subquery(title))

    def filter_by_tickets(self, queryset: QuerySet[Any], tickets: QuerySet[Ticket], _term: str) -> QuerySet[Any]:
        if number := TICKET_NUMBER.fullmatch(_term):
            return queryset.filter(ticket_id=int(number[1]))
        return super().filter_by_tickets(queryset, tickets, _term)

    @admin.display(description=_("ticket"))
    def of_ticket(self, event: Any) -> str:
        return ticket_link(event.ticket_id, event.ticket_title)

    @admin.display(description=_("change"))
    def change(self, event: TicketEvent) -> str:
        return change_display(event)

    @admin.display(description=_("old value"))
    def old_value(self, event: TicketEvent) -> str:
        return value_display(event.kind, event.old)

    @admin.display(description=_("new value"))
    def new_value(self, event: TicketEvent) -> str:
        return value_display(event.kind, event.new)

    @admin.display(description=_("actor"))
    def done_by(self, event: TicketEvent) -> str:
        return str(event.actor)
