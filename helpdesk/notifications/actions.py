"""What changes streams and notifications."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import takewhile

from django.conf import settings
from django.db import connection
from django.db.models import OuterRef, Subquery
from django.utils import timezone

from helpdesk.notifications.live.protocol import EventMessage, event_frame, frame_head, render
from helpdesk.notifications.models import Frame, Notification, Stream
from helpdesk.subscriptions.models import Channel
from helpdesk.subscriptions.recipients import Announcement
from helpdesk.tickets.models import Comment, TicketEvent
from helpdesk.users.models import User

# Rows that one statement, and so one transaction, deletes at most.
BATCH_SIZE = 1_000

RESERVE_SEQS = """
    INSERT INTO notifications_stream AS stream (user_id, epoch, last_seq)
    SELECT user_id, gen_random_uuid(), amount FROM unnest(%s::bigint[], %s::bigint[]) AS reserved (user_id, amount)
    ORDER BY user_id
    ON CONFLICT (user_id) DO UPDATE SET last_seq = stream.last_seq + excluded.last_seq
    RETURNING user_id, last_seq
"""
INSERT_NOTIFICATIONS = """
    INSERT INTO notifications_notification (frame_id, user_id, seq, created_at)
    SELECT frame_id, user_id, seq, STATEMENT_TIMESTAMP()
    FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[]) AS notification (frame_id, user_id, seq)
"""
DELETE_UNUSED_FRAMES = """
    DELETE FROM notifications_frame AS frame
    WHERE event_id = ANY(%s)
        AND NOT EXISTS (SELECT FROM notifications_notification WHERE frame_id = frame.event_id)
"""


def add_notifications(announcements: Sequence[Announcement]) -> list[EventMessage]:
    """Add events to the streams of their live recipients; return what to publish after the commit.

    Only the announcer may call this, with the events in order.
    """
    live = [announcement for announcement in announcements if announcement.recipients[Channel.LIVE]]
    if not live:
        return []
    comment_ids = [event.comment_id for event, *_ in live if event.comment_id]
    comments = Comment.objects.select_related("author").in_bulk(comment_ids)
    frames = Frame.objects.bulk_create(
        Frame(event=event, text=render(event_frame(event, ticket, comments.get(event.comment_id or 0))))
        for event, ticket, _recipients in live
    )
    numbered = assign_seqs([announcement.recipients[Channel.LIVE] for announcement in live])
    insert_notifications([(frame.pk, *pair) for frame, pairs in zip(frames, numbered, strict=True) for pair in pairs])
    return [
        EventMessage(frame_head(frame.text), recipients) for frame, recipients in zip(frames, numbered, strict=True)
    ]


def assign_seqs(recipients: Sequence[Sequence[int]]) -> list[list[tuple[int, int]]]:
    """Return, for each event's recipients, their user ids, each with the user's next `seq`."""
    amounts = Counter(user_id for user_ids in recipients for user_id in user_ids)
    last = {user_id: last_seq - amounts[user_id] for user_id, last_seq in reserve_seqs(amounts)}
    numbered = []
    for user_ids in recipients:
        for user_id in user_ids:
            last[user_id] += 1
        numbered.append([(user_id, last[user_id]) for user_id in user_ids])
    return numbered


def reserve_seqs(amounts: Mapping[int, int]) -> list[tuple[int, int]]:
    """Reserve an amount of each user's next numbers; return the user ids, each with the last number.

    The streams stay locked until the commit, so that numbers become visible in order.
    """
    with connection.cursor() as cursor:
        cursor.execute(RESERVE_SEQS, [list(amounts.keys()), list(amounts.values())])
        return list(cursor.fetchall())


def insert_notifications(rows: Sequence[tuple[int, int, int]]) -> None:
    """Insert rows of frame id, user id and `seq`."""
    with connection.cursor() as cursor:
        cursor.execute(INSERT_NOTIFICATIONS, [list(column) for column in zip(*rows, strict=True)])


def create_stream(user: User) -> Stream:
    """Create the stream of a user who has none, unless it exists meanwhile; return it `with_oldest`."""
    Stream.objects.bulk_create([Stream(user=user)], ignore_conflicts=True)
    return Stream.objects.with_oldest().get(user=user)


def mark_read(notification: Notification) -> None:
    Notification.objects.filter(pk=notification.pk).unread().update(read_at=timezone.now())


def mark_read_up_to(user: User, *, up_to_seq: int) -> None:
    """Mark a user's notifications up to a number as read."""
    Notification.objects.of(user).unread().filter(seq__lte=up_to_seq).update(read_at=timezone.now())


def delete_expired_notifications() -> int:
    """Delete the notifications that are older than NOTIFICATION_RETENTION; return how many there were.

    A stream loses its beginning and keeps its numbers. What was not read is deleted, too.
    """
    limit = timezone.now() - settings.NOTIFICATION_RETENTION
    first = Notification.objects.filter(user=OuterRef("pk")).order_by("seq").values("created_at")[:1]
    streams = Stream.objects.annotate(begins_at=Subquery(first)).filter(begins_at__lt=limit)
    deleted = sum(delete_beginning(user_id, limit) for user_id in list(streams.values_list("pk", flat=True)))
    delete_frames_before(limit)
    return deleted


def delete_beginning(user_id: int, limit: datetime) -> int:
    """Delete a stream's notifications up to the first that is not expired: even after a wrong clock it has no gap."""
    stream = Notification.objects.filter(user=user_id)
    deleted = 0
    while True:
        page = stream.order_by("seq").values_list("seq", "created_at")[:BATCH_SIZE]
        expired = [seq for seq, _ in takewhile(lambda row: row[1] < limit, page)]
        if expired:
            stream.filter(seq__lte=expired[-1]).delete()
        deleted += len(expired)
        if len(expired) < BATCH_SIZE:
            return deleted


def delete_frames_before(limit: datetime) -> None:
    """Delete the frames of older events that no notification refers to."""
    last_id = 0
    frames = Frame.objects.order_by("pk").values_list("pk", flat=True)
    while event_ids := list(frames.filter(pk__gt=last_id)[:BATCH_SIZE]):
        # A query of its own: a join might read all earlier events, which are never deleted.
        expired = list(TicketEvent.objects.filter(pk__in=event_ids, created_at__lt=limit).values_list("pk", flat=True))
        with connection.cursor() as cursor:
            cursor.execute(DELETE_UNUSED_FRAMES, [expired])
        if len(expired) < len(event_ids):
            return
        last_id = event_ids[-1]
