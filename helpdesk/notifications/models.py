"""The events that each user was notified of, in order."""

import uuid
from typing import Self

from django.db import models
from django.db.models import Exists, F, OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from helpdesk.tickets.models import Ticket, TicketEvent
from helpdesk.users.models import User


class StreamQuerySet(models.QuerySet["Stream"]):
    def with_oldest(self) -> Self:
        """Add `oldest`, the number of the first notification that is still stored, or of the next one."""
        first = Notification.objects.filter(user=OuterRef("pk")).order_by("seq").values("seq")[:1]
        return self.annotate(oldest=Coalesce(Subquery(first), F("last_seq") + 1))


class Stream(models.Model):
    """A user's notifications, numbered from 1 without gaps; `epoch` changes when they are numbered again."""

    user = models.OneToOneField(User, models.CASCADE, primary_key=True, related_name="stream")
    epoch = models.UUIDField(default=uuid.uuid4, editable=False)
    last_seq = models.PositiveBigIntegerField(default=0)

    oldest: int
    """Added by `with_oldest`."""

    objects = StreamQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.user_id}: {self.last_seq}"


class Frame(models.Model):
    """The frame of an event: one JSON object, rendered once for all recipients, without `seq`."""

    event = models.OneToOneField(TicketEvent, models.PROTECT, primary_key=True, related_name="frame")
    text = models.TextField()

    def __str__(self) -> str:
        return self.text[:60]


class NotificationQuerySet(models.QuerySet["Notification"]):
    def of(self, user: User) -> Self:
        return self.filter(user=user)

    def unread(self) -> Self:
        return self.filter(read_at=None)

    def after(self, seq: int) -> Self:
        return self.filter(seq__gt=seq)

    def for_showing_to(self, user: User) -> Self:
        """Join the frames and events, and add `is_visible`: whether the user may see the ticket at this moment."""
        tickets = Ticket.objects.visible_to(user).filter(pk=OuterRef("frame__event__ticket_id"))
        return self.select_related("frame__event").annotate(is_visible=Exists(tickets))


class Notification(models.Model):
    """An entry of a user's stream."""

    user = models.ForeignKey(User, models.CASCADE, related_name="notifications", db_index=False)
    seq = models.PositiveBigIntegerField(_("number"))
    frame = models.ForeignKey(Frame, models.CASCADE, related_name="notifications")
    created_at = models.DateTimeField(_("time"), default=timezone.now, editable=False)
    read_at = models.DateTimeField(_("read"), null=True)

    is_visible: bool
    """Added by `for_showing_to`."""

    objects = NotificationQuerySet.as_manager()

    class Meta:
        verbose_name = _("notification")
        verbose_name_plural = _("notifications")
        ordering = ["user", "seq"]
        constraints = [models.UniqueConstraint(fields=["user", "seq"], name="notifications_notification_seq_unique")]
        indexes = [
            models.Index(fields=["user", "seq"], condition=models.Q(read_at=None), name="notifications_unread"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id}: {self.seq}"
