"""Tickets in the admin. Every write is an action, as in the API."""

from contextlib import suppress
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.timesince import timesince
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from helpdesk.core.admin import ChangedFieldsAdmin
from helpdesk.tickets import actions
from helpdesk.tickets.actions import Origin
from helpdesk.tickets.admin.base import TicketSearchAdmin, list_url, ticket_link
from helpdesk.tickets.admin.comments import CommentInline
from helpdesk.tickets.admin.events import EventInline
from helpdesk.tickets.admin.forms import TicketForm
from helpdesk.tickets.models import EventSource, Status, Ticket
from helpdesk.users.admin import AgentModelAdmin, get_agent
from helpdesk.users.models import User


def origin_of(request: HttpRequest) -> Origin:
    return Origin(get_agent(request), EventSource.ADMIN)


class AssigneeFilter(admin.SimpleListFilter):
    title = _("assigned to")
    parameter_name = "assigned_to"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        agents = User.objects.agents().order_by("username").values_list("pk", "username")
        return [("me", _("Me")), ("nobody", _("Nobody")), *((str(pk), username) for pk, username in agents)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Ticket]) -> QuerySet[Ticket]:
        asked = self.value()
        if asked is None:
            return queryset
        if asked not in dict(self.lookup_choices):
            return queryset.none()
        if asked == "nobody":
            return queryset.filter(assigned_to=None)
        return queryset.filter(assigned_to=get_agent(request).pk if asked == "me" else int(asked))


@admin.register(Ticket)
class TicketAdmin(TicketSearchAdmin, AgentModelAdmin, ChangedFieldsAdmin):
    form = TicketForm
    inlines = [CommentInline, EventInline]
    list_display = ["__str__", "status", "priority", "assigned_to", "created_by", "age"]
    list_filter = ["status", "priority", AssigneeFilter]
    list_select_related = ["assigned_to", "created_by"]
    ordering = ["-created_at", "-id"]
    sortable_by = ["priority", "age"]
    readonly_fields = ["opened_by", "created_at", "updated_at"]
    actions = ["assign_to_me", "resolve", "close"]

    @admin.display(description=_("age"), ordering="-created_at")
    def age(self, ticket: Ticket) -> str:
        return timesince(ticket.created_at, depth=1)

    @admin.display(description=_("created by"))
    def opened_by(self, ticket: Ticket) -> str:
        return f"{ticket.created_by.get_full_name()} ({ticket.created_by.username}, {ticket.created_by.email})"

    def searched_tickets(self, queryset: QuerySet[Any]) -> QuerySet[Ticket]:
        return queryset

    def filter_by_tickets(self, queryset: QuerySet[Any], tickets: QuerySet[Ticket], _term: str) -> QuerySet[Any]:
        return queryset.filter(pk__in=tickets)

    def get_fields(self, request: HttpRequest, obj: Ticket | None = None) -> Any:
        if obj is None:
            return ["title", "description", "priority"]
        people_and_times = ["opened_by", ("created_at", "updated_at")]
        return ["title", "description", ("status", "priority", "assigned_to"), *people_and_times]

    def get_readonly_fields(self, request: HttpRequest, obj: Ticket | None = None) -> list[str]:
        return self.readonly_fields if obj else []

    def get_inlines(self, request: HttpRequest, obj: Ticket | None) -> list[Any]:
        return list(self.inlines) if obj else []

    def save_model(self, request: HttpRequest, obj: Ticket, form: Any, change: bool) -> None:  # noqa: FBT001 -- Django's
        if change:
            changes = {name: form.cleaned_data[name] for name in form.changed_data}
            actions.update_ticket(origin_of(request), obj.pk, changes=changes)
        else:
            obj.pk = actions.create_ticket(origin_of(request), **form.cleaned_data).pk

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:  # noqa: FBT001 -- Django's
        for comment in formset.save(commit=False):
            comment.author = get_agent(request)
            actions.add_comment(origin_of(request), form.instance.pk, content=comment.content)

    def delete_model(self, request: HttpRequest, obj: Ticket) -> None:
        with suppress(Ticket.DoesNotExist):
            actions.delete_ticket(origin_of(request), obj.pk)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Ticket]) -> None:
        for ticket in queryset:
            self.delete_model(request, ticket)

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[str]]:
        """Return the tickets and the number of their comments; Django would list every comment."""
        tickets = list(objs)
        counts = {
            gettext("tickets"): len(tickets),
            gettext("comments"): sum(ticket.comments_count for ticket in tickets),
        }
        return [ticket_link(ticket.pk, ticket.title) for ticket in tickets], counts, set(), []

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """Show the events in the ledger, which also has the changes through the API."""
        return redirect(list_url("ticketevent", object_id))

    @admin.action(description=_("Assign selected tickets to me"), permissions=["change"])
    def assign_to_me(self, request: HttpRequest, tickets: QuerySet[Ticket]) -> None:
        self.change_each(request, tickets, assigned_to=get_agent(request))

    @admin.action(description=_("Resolve selected tickets"), permissions=["change"])
    def resolve(self, request: HttpRequest, tickets: QuerySet[Ticket]) -> None:
        self.change_each(request, tickets, status=Status.RESOLVED)

    @admin.action(description=_("Close selected tickets"), permissions=["change"])
    def close(self, request: HttpRequest, tickets: QuerySet[Ticket]) -> None:
        self.change_each(request, tickets, status=Status.CLOSED)

    def change_each(self, request: HttpRequest, tickets: QuerySet[Ticket], **changes: Any) -> None:
        """Change the tickets, each in a transaction of its own: none stays locked while the others are changed."""
        changed, refusals = 0, set[str]()
        for ticket_id in tickets.values_list("pk", flat=True):
            try:
                actions.update_ticket(origin_of(request), ticket_id, changes=changes)
            except Ticket.DoesNotExist:
                continue
            except ValidationError as error:
                refusals.update(error.messages)
            else:
                changed += 1
        for refusal in sorted(refusals):
            self.message_user(request, refusal, messages.ERROR)
        if changed:
            text = ngettext("%(count)d ticket was changed.", "%(count)d tickets were changed.", changed)
            self.message_user(request, text % {"count": changed}, messages.SUCCESS)
