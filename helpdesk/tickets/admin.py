"""Where agents work: tickets with their comments and history. Every write is an action, as in the API."""

from contextlib import suppress
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.text import Truncator
from django.utils.timesince import timesince
from django.utils.timezone import localtime
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from helpdesk.core.admin import ChangedFieldsAdmin, LargeTableAdmin, ReadOnlyAdmin
from helpdesk.tickets import actions
from helpdesk.tickets.actions import Origin
from helpdesk.tickets.filters import TicketFilter
from helpdesk.tickets.forms import CommentForm, TicketForm
from helpdesk.tickets.models import Comment, EventKind, EventSource, Priority, Status, Ticket, TicketEvent
from helpdesk.tickets.search import TICKET_NUMBER
from helpdesk.users.admin import AgentModelAdmin, AgentPermissionsMixin, get_agent
from helpdesk.users.models import User

ROWS_SHOWN = 100
LINK_LENGTH = 50
EXCERPT_LENGTH = 80


def origin_of(request: HttpRequest) -> Origin:
    return Origin(get_agent(request), EventSource.ADMIN)


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


def shown(kind: str, value: Any) -> str:
    """Return an old or new value of the ledger in words."""
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


def change_shown(event: TicketEvent) -> str:
    """Return what an event changed, in one short line."""
    old, new = (Truncator(shown(event.kind, value)).chars(EXCERPT_LENGTH) for value in (event.old, event.new))
    return f"{old} → {new}" if old and new else old or new


class SearchedLikeTheApi(LargeTableAdmin):
    """Finds rows by the tickets that the API's search finds, within its limits."""

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
        search = TicketFilter({"search": search_term}, queryset=Ticket.objects.all())
        if not search.is_valid():
            self.message_user(request, " ".join(search.form.errors["search"]), messages.WARNING)
            return queryset.none(), False
        return self.of_tickets(queryset, search.qs, search_term), False

    def of_tickets(self, queryset: QuerySet[Any], tickets: QuerySet[Ticket], _term: str) -> QuerySet[Any]:
        return queryset.filter(ticket__in=tickets)


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


class NewestRows(forms.BaseInlineFormSet[Any, Ticket, Any]):
    """Shows a ticket's rows as text.

    As forms, each of them would come back with every POST, be looked up, and count towards Django's limit of fields.
    """

    queryset: QuerySet[Any]
    who: str
    list_name: str
    maximum_rows = ROWS_SHOWN

    def get_queryset(self) -> QuerySet[Any]:
        return self.queryset.none()

    @cached_property
    def newest_and_one(self) -> list[Any]:
        return list(self.queryset.select_related(self.who).order_by("-pk")[: ROWS_SHOWN + 1])

    @property
    def newest(self) -> list[Any]:
        """Return the last rows, oldest first."""
        return self.newest_and_one[:ROWS_SHOWN][::-1]

    @property
    def url_of_all(self) -> str | None:
        """Return the address of the whole list when it is longer."""
        return list_url(self.list_name, self.instance.pk) if len(self.newest_and_one) > ROWS_SHOWN else None


class CommentRows(NewestRows):
    who = "author"
    list_name = "comment"


class EventRows(NewestRows):
    who = "actor"
    list_name = "ticketevent"

    @property
    def newest(self) -> list[Any]:
        return [(event, change_shown(event)) for event in super().newest]


class CommentInline(AgentPermissionsMixin, admin.StackedInline[Comment, Ticket]):
    model = Comment
    form = CommentForm
    formset = CommentRows
    template = "admin/tickets/ticket/comments.html"
    extra = 1
    max_num = 1
    can_delete = False


class EventInline(AgentPermissionsMixin, admin.TabularInline[TicketEvent, Ticket]):
    model = TicketEvent
    formset = EventRows
    template = "admin/tickets/ticket/events.html"
    fields = []
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Ticket)
class TicketAdmin(SearchedLikeTheApi, AgentModelAdmin, ChangedFieldsAdmin):
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

    def of_tickets(self, queryset: QuerySet[Any], tickets: QuerySet[Ticket], _term: str) -> QuerySet[Any]:
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
        """Return the tickets and how many comments go with them; Django would list every comment."""
        tickets = list(objs)
        counts = {
            gettext("tickets"): len(tickets),
            gettext("comments"): sum(ticket.comments_count for ticket in tickets),
        }
        return [ticket_link(ticket.pk, ticket.title) for ticket in tickets], counts, set(), []

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """Show the ledger, which knows of the changes through other doors too."""
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
        """Change the tickets one transaction each, so that none waits for the others."""
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


@admin.register(Comment)
class CommentAdmin(SearchedLikeTheApi, ReadOnlyAdmin, AgentModelAdmin):
    """What was said; one comments on the page of the ticket."""

    list_display = [time, "on_ticket", "author", "excerpt"]
    list_select_related = ["ticket", "author"]
    ordering = ["-id"]
    sortable_by = []
    fields = ["created_at", "on_ticket", "said_by", "content"]

    @admin.display(description=_("ticket"))
    def on_ticket(self, comment: Comment) -> str:
        return ticket_link(comment.ticket_id, comment.ticket.title)

    @admin.display(description=_("author"))
    def said_by(self, comment: Comment) -> str:
        return str(comment.author)

    @admin.display(description=_("content"))
    def excerpt(self, comment: Comment) -> str:
        return Truncator(comment.content).chars(EXCERPT_LENGTH)


@admin.register(TicketEvent)
class TicketEventAdmin(SearchedLikeTheApi, ReadOnlyAdmin, AgentModelAdmin):
    """The ledger, of deleted tickets too: their events have no ticket to join."""

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

    def of_tickets(self, queryset: QuerySet[Any], tickets: QuerySet[Ticket], _term: str) -> QuerySet[Any]:
        if number := TICKET_NUMBER.fullmatch(_term):
            return queryset.filter(ticket_id=int(number[1]))
        return super().of_tickets(queryset, tickets, _term)

    @admin.display(description=_("ticket"))
    def of_ticket(self, event: Any) -> str:
        return ticket_link(event.ticket_id, event.ticket_title)

    @admin.display(description=_("change"))
    def change(self, event: TicketEvent) -> str:
        return change_shown(event)

    @admin.display(description=_("old value"))
    def old_value(self, event: TicketEvent) -> str:
        return shown(event.kind, event.old)

    @admin.display(description=_("new value"))
    def new_value(self, event: TicketEvent) -> str:
        return shown(event.kind, event.new)

    @admin.display(description=_("actor"))
    def done_by(self, event: TicketEvent) -> str:
        return str(event.actor)
