"""Comments in the admin."""

from django.contrib import admin
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _

from helpdesk.core.admin import ReadOnlyAdmin
from helpdesk.tickets.admin.base import EXCERPT_LENGTH, NewestRowsFormSet, TicketSearchAdmin, ticket_link, time
from helpdesk.tickets.admin.forms import CommentForm
from helpdesk.tickets.models import Comment, Ticket
from helpdesk.users.admin import AgentModelAdmin, AgentPermissionsMixin


class CommentFormSet(NewestRowsFormSet):
    user_field = "author"
    list_name = "comment"


class CommentInline(AgentPermissionsMixin, admin.StackedInline[Comment, Ticket]):
    model = Comment
    form = CommentForm
    formset = CommentFormSet
    template = "admin/tickets/ticket/comments.html"
    extra = 1
    max_num = 1
    can_delete = False


@admin.register(Comment)
class CommentAdmin(TicketSearchAdmin, ReadOnlyAdmin, AgentModelAdmin):
    """All comments, read-only; new ones are written on the page of the ticket."""

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
