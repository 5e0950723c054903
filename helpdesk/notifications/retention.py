"""Forgets what users were told long ago: a stream loses its beginning, and keeps its numbers."""

from datetime import datetime
from itertools import takewhile

from django.conf import settings
from django.db import connection
from django.db.models import OuterRef, Subquery
from django.utils import timezone

from helpdesk.notifications.models import Frame, Notification, Stream
from helpdesk.tickets.models import TicketEvent

# Rows in one statement, and so in one transaction.
BATCH_SIZE = 1_000

DELETE_UNUSED = """
    DELETE FROM notifications_frame AS frame
    WHERE event_id = ANY(%s)
        AND NOT EXISTS (SELECT FROM notifications_notification WHERE frame_id = frame.event_id)
"""


def delete_old() -> int:
    """Forget what was told before NOTIFICATION_RETENTION, read or not; returns how many notifications."""
    limit = timezone.now() - settings.NOTIFICATION_RETENTION
    deleted = sum(shorten(user_id, limit) for user_id in streams_that_begin_before(limit))
    delete_frames_before(limit)
    return deleted


def streams_that_begin_before(limit: datetime) -> list[int]:
    """Return the ids of their users."""
    first = Notification.objects.filter(user=OuterRef("pk")).order_by("seq").values("created_at")[:1]
    streams = Stream.objects.annotate(begins_at=Subquery(first)).filter(begins_at__lt=limit)
    return list(streams.values_list("pk", flat=True))


def shorten(user_id: int, limit: datetime) -> int:
    """Delete a stream's beginning as far as all of it is old, even if a clock was once wrong: it never has holes."""
    stream = Notification.objects.filter(user=user_id)
    deleted = 0
    while True:
        places = stream.order_by("seq").values_list("seq", "created_at")[:BATCH_SIZE]
        old = [seq for seq, _ in takewhile(lambda place: place[1] < limit, places)]
        if old:
            stream.filter(seq__lte=old[-1]).delete()
        deleted += len(old)
        if len(old) < BATCH_SIZE:
            return deleted


def delete_frames_before(limit: datetime) -> None:
    """Delete the frames of old events that no stream refers to."""
    last_id = 0
    frames = Frame.objects.order_by("pk").values_list("pk", flat=True)
    while event_ids := list(frames.filter(pk__gt=last_id)[:BATCH_SIZE]):
        # Apart, since a join may read all events before them, which are kept for ever.
        old = list(TicketEvent.objects.filter(pk__in=event_ids, created_at__lt=limit).values_list("pk", flat=True))
        delete_unused(old)
        if len(old) < len(event_ids):
            return
        last_id = event_ids[-1]


def delete_unused(event_ids: list[int]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(DELETE_UNUSED, [event_ids])
