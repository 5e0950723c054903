"""What can happen to a user's stream of notifications."""

from collections.abc import Sequence

from django.db import connection
from django.utils import timezone

from helpdesk.core.after_commit import after_commit
from helpdesk.core.json import dumps
from helpdesk.notifications.frames import frame_of
from helpdesk.notifications.models import Frame, Notification
from helpdesk.notifications.push import Told, pusher
from helpdesk.notifications.streams import head_of_text
from helpdesk.tickets.audience import audience_of
from helpdesk.tickets.models import Ticket, TicketEvent
from helpdesk.users.models import User

NEXT_NUMBERS = """
    INSERT INTO notifications_stream AS stream (user_id, epoch, last_seq)
    SELECT id, gen_random_uuid(), 1 FROM unnest(%s::bigint[]) AS id ORDER BY id
    ON CONFLICT (user_id) DO UPDATE SET last_seq = stream.last_seq + 1
    RETURNING user_id, last_seq
"""


def fill_inboxes(event: TicketEvent) -> list[Notification]:
    """Add an event to the stream of everybody in its audience, and push it to their sockets after the commit.

    Only the announcer may, one event after the other.
    """
    ticket = Ticket.objects.select_related("created_by").filter(pk=event.ticket_id).first()
    audience = [] if ticket is None else list(audience_of(event, ticket).values_list("pk", flat=True))
    if ticket is None or not audience:
        return []
    frame = Frame.objects.create(event=event, text=dumps(frame_of(event, ticket)).decode())
    places = next_numbers(audience)
    after_commit(pusher.push, Told(head_of_text(frame.text), places))
    return Notification.objects.bulk_create(
        Notification(user_id=user_id, seq=seq, frame=frame) for user_id, seq in places
    )


def next_numbers(user_ids: Sequence[int]) -> list[tuple[int, int]]:
    """Take each user's next number; the rows stay locked, so that numbers become visible in order."""
    with connection.cursor() as cursor:
        cursor.execute(NEXT_NUMBERS, [list(user_ids)])
        return list(cursor.fetchall())


def mark_read(notification: Notification) -> None:
    Notification.objects.filter(pk=notification.pk).unread().update(read_at=timezone.now())


def mark_read_up_to(user: User, *, up_to_seq: int) -> None:
    """Mark a user's notifications up to a number as read."""
    Notification.objects.of(user).unread().filter(seq__lte=up_to_seq).update(read_at=timezone.now())
