"""The outbox: one row for each e-mail and recipient, and one for each attempt to send it."""

import uuid
from typing import Self

from django.contrib.postgres.indexes import OpClass
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower, Now
from django.utils.translation import gettext_lazy as _

from helpdesk.core.request_id import MAXIMUM_LENGTH, request_id
from helpdesk.tickets.models import EventKind, TicketEvent
from helpdesk.users.models import AddressChange, Language, Registration, User

SUBJECT_LENGTH = 255


class EmailKind(models.TextChoices):
    TICKET_CREATED = EventKind.TICKET_CREATED.value, _("New ticket")
    STATUS_CHANGED = EventKind.STATUS_CHANGED.value, _("Status change")
    COMMENT_ADDED = EventKind.COMMENT_ADDED.value, _("New comment")
    REGISTRATION = "registration", _("Registration")
    PASSWORD_RESET = "password_reset", _("Password reset")
    ADDRESS_CHANGE = "address_change", _("New e-mail address")
    ADDRESS_CHANGE_NOTICE = "address_change_notice", _("Notice of an e-mail address change")


class EmailState(models.TextChoices):
    PENDING = "pending", _("Pending")
    SENT = "sent", _("Sent")
    BOUNCED = "bounced", _("Bounced")
    DEAD = "dead", _("Dead")
    CANCELLED = "cancelled", _("Cancelled")


class EmailQuerySet(models.QuerySet["Email"]):
    def pending(self) -> Self:
        return self.filter(state=EmailState.PENDING)

    def unleased(self) -> Self:
        """Exclude what a worker is sending."""
        return self.filter(Q(lease_until=None) | Q(lease_until__lte=Now()))

    def overdue(self) -> Self:
        """Those whose time has come, leased or not, the oldest first."""
        return self.pending().filter(next_attempt_at__lte=Now()).order_by("next_attempt_at")

    def due(self) -> Self:
        """Those that a worker may claim, the oldest first."""
        return self.overdue().unleased()

    def to_address(self, beginning: str) -> Self:
        """Match the beginning of the address case-insensitively, by an index."""
        return self.alias(lower_address=Lower("address")).filter(lower_address__startswith=beginning.lower())


class Email(models.Model):
    """A message to one recipient, of an event or of an account; docs/emails.md explains the states.

    A worker may send it while `lease_until` is in the future. Only helpdesk.emails.actions writes it.
    """

    uuid = models.UUIDField(default=uuid.uuid4, editable=False)
    kind = models.CharField(_("kind"), max_length=30, choices=EmailKind)
    event = models.ForeignKey(
        TicketEvent,
        models.PROTECT,
        verbose_name=_("event"),
        related_name="emails",
        null=True,
        db_index=False,
    )
    recipient = models.ForeignKey(User, models.CASCADE, verbose_name=_("recipient"), related_name="emails", null=True)
    registration = models.ForeignKey(
        Registration,
        models.SET_NULL,
        verbose_name=_("registration"),
        related_name="+",
        null=True,
    )
    address_change = models.ForeignKey(
        AddressChange,
        models.SET_NULL,
        verbose_name=_("change of address"),
        related_name="+",
        null=True,
    )
    address = models.EmailField(_("e-mail address"))
    language = models.CharField(_("language"), max_length=5, choices=Language)
    subject = models.CharField(_("subject"), max_length=SUBJECT_LENGTH)
    state = models.CharField(_("state"), max_length=10, choices=EmailState, default=EmailState.PENDING)
    error = models.TextField(_("error"), blank=True)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    next_attempt_at = models.DateTimeField(_("next attempt"), db_default=Now())
    lease_until = models.DateTimeField(_("leased until"), null=True)
    request_id = models.CharField(
        _("request"), max_length=MAXIMUM_LENGTH, default=request_id, db_default="", editable=False
    )
    created_at = models.DateTimeField(_("created"), db_default=Now(), editable=False)
    sent_at = models.DateTimeField(_("sent"), null=True)

    attempt_id = 0
    """The id of the current attempt, set by `actions.start_attempt`; 0 before."""

    objects = EmailQuerySet.as_manager()

    class Meta:
        verbose_name = _("e-mail")
        verbose_name_plural = _("e-mails")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["event", "recipient"], name="emails_email_event_recipient_unique"),
            models.CheckConstraint(condition=Q(kind__in=EmailKind.values), name="emails_email_kind_known"),
            models.CheckConstraint(condition=Q(state__in=EmailState.values), name="emails_email_state_known"),
            models.CheckConstraint(condition=Q(language__in=Language.values), name="emails_email_language_known"),
            models.CheckConstraint(
                condition=Q(state=EmailState.SENT, sent_at__isnull=False)
                | (~Q(state=EmailState.SENT) & Q(sent_at__isnull=True)),
                name="emails_email_sent_has_a_time",
            ),
        ]
        indexes = [
            models.Index(fields=["next_attempt_at"], condition=Q(state="pending"), name="emails_email_due"),
            models.Index(fields=["state", "id"], name="emails_email_state"),
            models.Index(fields=["kind", "id"], name="emails_email_kind"),
            models.Index(OpClass(Lower("address"), name="text_pattern_ops"), name="emails_email_address"),
        ]

    def __str__(self) -> str:
        return f"{self.address}: {self.subject}"


class Outcome(models.TextChoices):
    PENDING = "pending", _("Pending")
    SENT = "sent", _("Sent")
    FAILED = "failed", _("Failed")


class Attempt(models.Model):
    """One attempt to send an e-mail; the next claim or the sweep fails one that was interrupted."""

    email = models.ForeignKey(Email, models.CASCADE, related_name="attempt_set")
    outcome = models.CharField(_("outcome"), max_length=10, choices=Outcome, default=Outcome.PENDING)
    error = models.TextField(_("error"), blank=True)
    started_at = models.DateTimeField(_("time"), db_default=Now())

    class Meta:
        verbose_name = _("attempt")
        verbose_name_plural = _("attempts")
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(condition=Q(outcome__in=Outcome.values), name="emails_attempt_outcome_known"),
        ]

    def __str__(self) -> str:
        return self.outcome
