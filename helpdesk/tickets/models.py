"""Tickets, comments, the ledger of their events, and the search index."""

import uuid
from typing import Self

from django.contrib.postgres.functions import RandomUUID
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from helpdesk.core.request_id import MAXIMUM_LENGTH, request_id
from helpdesk.core.text import validate_one_line
from helpdesk.users.models import User

TITLE_LENGTH = 200
DESCRIPTION_LENGTH = 20_000
COMMENT_LENGTH = 10_000


class Status(models.TextChoices):
    OPEN = "open", _("Open")
    IN_PROGRESS = "in_progress", _("In Progress")
    RESOLVED = "resolved", _("Resolved")
    CLOSED = "closed", _("Closed")


class Priority(models.IntegerChoices):
    """Stored as a number, so that an index orders by urgency; clients see the lower-case name."""

    LOW = 1, _("Low")
    MEDIUM = 2, _("Medium")
    HIGH = 3, _("High")
    URGENT = 4, _("Urgent")


PRIORITY_NAMES = [(priority.name.lower(), priority.label) for priority in Priority]


class EventKind(models.TextChoices):
    TICKET_CREATED = "ticket_created", _("Ticket created")
    TITLE_CHANGED = "title_changed", _("Title changed")
    DESCRIPTION_CHANGED = "description_changed", _("Description changed")
    STATUS_CHANGED = "status_changed", _("Status changed")
    PRIORITY_CHANGED = "priority_changed", _("Priority changed")
    ASSIGNEE_CHANGED = "assignee_changed", _("Assignee changed")
    COMMENT_ADDED = "comment_added", _("Comment added")
    TICKET_DELETED = "ticket_deleted", _("Ticket deleted")


class EventSource(models.TextChoices):
    API = "api", _("API")
    ADMIN = "admin", _("Admin")
    COMMAND = "command", _("Command")


# Scopes of cached lists: every list, those of the agents, who all see the same tickets, and those of one customer.
ALL_LISTS = "tickets"
AGENT_LISTS = "tickets:agents"
CUSTOMER_LISTS = "tickets:customer:{}"


def list_scopes_for(user: User) -> tuple[str, str]:
    """Return the scopes that a user's cached lists depend on."""
    return ALL_LISTS, AGENT_LISTS if user.is_agent else CUSTOMER_LISTS.format(user.pk)


def list_scopes_with_tickets_of(creator_id: int) -> tuple[str, str]:
    """Return the scopes of the cached lists that can show a ticket of that creator."""
    return AGENT_LISTS, CUSTOMER_LISTS.format(creator_id)


class TicketQuerySet(models.QuerySet["Ticket"]):
    def visible_to(self, user: User) -> Self:
        """Agents see all tickets, customers their own."""
        return self.all() if user.is_agent else self.filter(created_by=user)

    def locked(self) -> Self:
        """Take the row lock under which every write to a ticket happens; needs a transaction."""
        return self.select_for_update(no_key=True, of=("self",))


class Ticket(models.Model):
    """A ticket; written through helpdesk.tickets.actions only."""

    title = models.CharField(_("title"), max_length=TITLE_LENGTH, validators=[validate_one_line])
    description = models.TextField(_("description"), max_length=DESCRIPTION_LENGTH)
    status = models.CharField(_("status"), max_length=20, choices=Status, default=Status.OPEN)
    priority = models.PositiveSmallIntegerField(_("priority"), choices=Priority, default=Priority.MEDIUM)
    created_by = models.ForeignKey(
        User,
        models.PROTECT,
        verbose_name=_("created by"),
        related_name="created_tickets",
        db_index=False,
    )
    assigned_to = models.ForeignKey(
        User,
        models.PROTECT,
        verbose_name=_("assigned to"),
        related_name="assigned_tickets",
        null=True,
        blank=True,
        db_index=False,
    )
    comments_count = models.PositiveIntegerField(_("comments"), default=0, editable=False)
    last_comment_at = models.DateTimeField(_("last comment"), null=True, editable=False)
    version = models.PositiveIntegerField(_("version"), default=1, editable=False)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    updated_at = models.DateTimeField(_("updated"), default=timezone.now, editable=False)

    objects = TicketQuerySet.as_manager()

    class Meta:
        verbose_name = _("ticket")
        verbose_name_plural = _("tickets")
        ordering = ["-created_at", "-id"]
        constraints = [
            models.CheckConstraint(condition=models.Q(status__in=Status.values), name="tickets_ticket_status_known"),
            models.CheckConstraint(
                condition=models.Q(priority__in=Priority.values),
                name="tickets_ticket_priority_known",
            ),
            models.CheckConstraint(condition=~models.Q(title=""), name="tickets_ticket_title_not_empty"),
        ]
        indexes = [
            models.Index(fields=["created_at", "id"], name="tickets_ticket_created"),
            models.Index(fields=["updated_at", "id"], name="tickets_ticket_updated"),
            models.Index(fields=["priority", "id"], name="tickets_ticket_priority"),
            models.Index(fields=["status", "created_at", "id"], name="tickets_ticket_status"),
            models.Index(fields=["status", "priority", "created_at", "id"], name="tickets_ticket_status_priority"),
            models.Index(fields=["created_by", "created_at", "id"], name="tickets_ticket_creator"),
            models.Index(fields=["assigned_to", "created_at", "id"], name="tickets_ticket_assignee"),
        ]

    def __str__(self) -> str:
        return f"#{self.pk} {self.title}"

    def is_visible_to(self, user: User) -> bool:
        """Return whether `TicketQuerySet.visible_to` includes the ticket, without a query."""
        return user.is_agent or self.created_by_id == user.pk


class TicketCount(models.Model):
    """Tickets added to, or if negative removed from, those of a status, a priority and an assignee.

    The sum of `delta` is the exact number of tickets at any time: triggers of the table of tickets insert these rows in the
    transactions that they count (see the migration that creates them). `helpdesk.tickets.counts` reads and folds them.
    """

    status = models.CharField(max_length=20)
    priority = models.PositiveSmallIntegerField()
    assigned_to_id = models.BigIntegerField(null=True)
    delta = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.status} {self.priority} {self.assigned_to_id}: {self.delta:+}"


class CommentQuerySet(models.QuerySet["Comment"]):
    def visible_to(self, user: User) -> Self:
        """Agents see all comments, customers those on their own tickets."""
        return self.all() if user.is_agent else self.filter(ticket__created_by=user)


class Comment(models.Model):
    """A comment on a ticket; never edited, never moved to another ticket."""

    ticket = models.ForeignKey(
        Ticket,
        models.CASCADE,
        verbose_name=_("ticket"),
        related_name="comments",
        db_index=False,
    )
    author = models.ForeignKey(User, models.PROTECT, verbose_name=_("author"), related_name="comments")
    content = models.TextField(_("content"), max_length=COMMENT_LENGTH)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    objects = CommentQuerySet.as_manager()

    class Meta:
        verbose_name = _("comment")
        verbose_name_plural = _("comments")
        ordering = ["id"]
        indexes = [models.Index(fields=["ticket", "id"], name="tickets_comment_ticket")]

    def __str__(self) -> str:
        return f"{self.author_id}: {self.content[:60]}"


# The channel of PostgreSQL's NOTIFY on which the announcer listens.
NOTIFY_CHANNEL = "ticket_events"


class TicketEventQuerySet(models.QuerySet["TicketEvent"]):
    def unannounced(self) -> Self:
        return self.filter(announced_at=None).order_by("id")

    def visible_to(self, user: User) -> Self:
        """Agents see all events, customers those of their own tickets."""
        return self.all() if user.is_agent else self.filter(ticket__created_by=user)


class TicketEvent(models.Model):
    """An event in the ledger of tickets; rows are added, never changed, and kept when their ticket is deleted.

    `old` and `new` hold the value before and after: text for a title, description, status or priority name,
    `{"id", "username"}` or null for an assignee; `{"title", "status", "priority"}` of the new ticket for its creation, and
    the title as `old` for its deletion.
    """

    uuid = models.UUIDField(default=uuid.uuid4, db_default=RandomUUID(), editable=False)
    ticket = models.ForeignKey(
        Ticket,
        models.DO_NOTHING,
        verbose_name=_("ticket"),
        related_name="events",
        db_constraint=False,
        db_index=False,
    )
    kind = models.CharField(_("kind"), max_length=30, choices=EventKind)
    actor = models.ForeignKey(
        User,
        models.PROTECT,
        verbose_name=_("actor"),
        related_name="ticket_events",
    )
    source = models.CharField(_("source"), max_length=10, choices=EventSource)
    old = models.JSONField(_("old value"), null=True)
    new = models.JSONField(_("new value"), null=True)
    comment = models.ForeignKey(
        Comment,
        models.DO_NOTHING,
        verbose_name=_("comment"),
        related_name="+",
        null=True,
        db_constraint=False,
        db_index=False,
    )
    created_at = models.DateTimeField(_("time"), default=timezone.now, editable=False)
    request_id = models.CharField(
        _("request"), max_length=MAXIMUM_LENGTH, default=request_id, db_default="", editable=False
    )
    announced_at = models.DateTimeField(_("announced"), null=True, editable=False)

    objects = TicketEventQuerySet.as_manager()

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("history")
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(condition=models.Q(kind__in=EventKind.values), name="tickets_event_kind_known"),
            models.CheckConstraint(
                condition=models.Q(source__in=EventSource.values),
                name="tickets_event_source_known",
            ),
        ]
        indexes = [
            models.Index(fields=["ticket", "id"], name="tickets_event_ticket"),
            models.Index(
                fields=["id"],
                condition=models.Q(announced_at__isnull=True),
                name="tickets_event_unannounced",
            ),
        ]

    def __str__(self) -> str:
        return f"#{self.ticket_id} {self.kind}"


class SearchDocument(models.Model):
    """The words of a ticket: of its title, its description and its comments."""

    ticket = models.OneToOneField(Ticket, models.CASCADE, primary_key=True, related_name="search_document")
    words = SearchVectorField()

    class Meta:
        indexes = [GinIndex(fields=["words"], name="tickets_search_words")]

    def __str__(self) -> str:
        return f"#{self.ticket_id}"


class SearchWord(models.Model):
    """A word that occurs in any ticket, lower-case and without accents, and its stems in both languages.

    A search looks up the words that contain a searched word or share a stem with it, then the tickets with those words.
    `first_customer` is the id of the user, perhaps deleted since, whose ticket added the word; null after a bulk load.
    """

    word = models.CharField(max_length=32, primary_key=True)
    spanish_stem = models.CharField(max_length=32)
    english_stem = models.CharField(max_length=32)
    first_customer = models.BigIntegerField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["spanish_stem"], name="tickets_search_word_spanish"),
            models.Index(fields=["english_stem"], name="tickets_search_word_english"),
            GinIndex(
                OpClass("word", name="gin_trgm_ops"),
                name="tickets_search_word_trigrams",
                fastupdate=False,
            ),
        ]

    def __str__(self) -> str:
        return self.word
