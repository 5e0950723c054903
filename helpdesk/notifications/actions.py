"""What can happen to a user's stream of notifications."""

from collections import Counter
from collections.abc import Mapping, Sequence

from django.db import connection
from django.utils import timezone

from helpdesk.core.after_commit import after_commit
from helpdesk.core.json import dumps
from helpdesk.notifications.live.frames import frame_of
from helpdesk.notifications.live.publisher import Told, pusher
from helpdesk.notifications.live.streams import head_of_text
from helpdesk.notifications.models import Frame, Notification
from helpdesk.subscriptions.models import Channel
from helpdesk.subscriptions.recipients import Announcement
from helpdesk.tickets.models import Comment
from helpdesk.users.models import User

TAKE_NUMBERS = """
    INSERT INTO notifications_stream AS stream (user_id, epoch, last_seq)
    SELECT user_id, gen_random_uuid(), amount FROM unnest(%s::bigint[], %s::bigint[]) AS wanted (user_id, amount)
    ORDER BY user_id
    ON CONFLICT (user_id) DO UPDATE SET last_seq = stream.last_seq + excluded.last_seq
    RETURNING user_id, last_seq
"""
TELL = """
    INSERT INTO notifications_notification (frame_id, user_id, seq, created_at)
    SELECT frame_id, user_id, seq, STATEMENT_TIMESTAMP()
    FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[]) AS place (frame_id, user_id, seq)
"""


def fill_inboxes(announcements: Sequence[Announcement]) -> None:
    """Add events to the streams of their recipients, and push them to their sockets after the commit.

    Only the announcer may call it, with events in their order.
    """
    live = [announcement for announcement in announcements if announcement.recipients[Channel.LIVE]]
    if not live:
        return
    comment_ids = [event.comment_id for event, *_ in live if event.comment_id]
    comments = Comment.objects.select_related("author").in_bulk(comment_ids)
    frames = Frame.objects.bulk_create(
        Frame(event=event, text=dumps(frame_of(event, ticket, comments.get(event.comment_id or 0))).decode())
        for event, ticket, _recipients in live
    )
    places = number([announcement.recipients[Channel.LIVE] for announcement in live])
    tell([(frame.pk, *place) for frame, own in zip(frames, places, strict=True) for place in own])
    for frame, own in zip(frames, places, strict=True):
        after_commit(pusher.put, Told(head_of_text(frame.text), own))


def tell(places: Sequence[tuple[int, int, int]]) -> None:
    """Write the places of events in streams: the frame's id, the user's, and the number."""
    with connection.cursor() as cursor:
        cursor.execute(TELL, [list(column) for column in zip(*places, strict=True)])


def number(audiences: Sequence[Sequence[int]]) -> list[list[tuple[int, int]]]:
    """Return, for each event's audience of user ids, each user with their next number."""
    amounts = Counter(user_id for audience in audiences for user_id in audience)
    last = {user_id: end - amounts[user_id] for user_id, end in take_numbers(amounts)}
    places = []
    for audience in audiences:
        for user_id in audience:
            last[user_id] += 1
        places.append([(user_id, last[user_id]) for user_id in audience])
    return places


def take_numbers(amounts: Mapping[int, int]) -> list[tuple[int, int]]:
    """Take so many of each user's next numbers, and return the last of them.

    The streams stay locked until the commit, so that numbers become visible in order.
    """
    with connection.cursor() as cursor:
        cursor.execute(TAKE_NUMBERS, [list(amounts.keys()), list(amounts.values())])
        return list(cursor.fetchall())


def mark_read(notification: Notification) -> None:
    Notification.objects.filter(pk=notification.pk).unread().update(read_at=timezone.now())


def mark_read_up_to(user: User, *, up_to_seq: int) -> None:
    """Mark a user's notifications up to a number as read."""
    Notification.objects.of(user).unread().filter(seq__lte=up_to_seq).update(read_at=timezone.now())
