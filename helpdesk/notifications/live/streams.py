"""Reads a user's stream for a socket: where it stands, and what comes after a number."""

from typing import NamedTuple

from helpdesk.core.json import dumps
from helpdesk.notifications.live.frames import withdrawn
from helpdesk.notifications.models import Notification, Stream
from helpdesk.users.models import User

PAGE_SIZE = 200


class Position(NamedTuple):
    """Where a stream stands; `oldest` is the first number that can still be read, or the next one to come."""

    epoch: str
    last: int
    oldest: int


class Told(NamedTuple):
    """A place in a stream with its frame, which lacks the closing brace and the number: see `numbered`."""

    seq: int
    head: str
    is_withdrawn: bool

    @property
    def text(self) -> str:
        return numbered(self.head, self.seq)


def head_of_text(text: str) -> str:
    """Return a frame's JSON open at its end: rendered once, it only lacks the number that is each recipient's own."""
    return f'{text[:-1]},"seq":'


def numbered(head: str, seq: int) -> str:
    return f"{head}{seq}}}"


def position_of(user: User) -> Position:
    """Return where a user's stream stands; begins it for one who was never told anything."""
    stream, _ = Stream.objects.get_or_create(user=user)
    oldest = Notification.objects.of(user).order_by("seq").values_list("seq", flat=True).first()
    return Position(str(stream.epoch), stream.last_seq, stream.last_seq + 1 if oldest is None else oldest)


def page_after(user: User, seq: int) -> list[Told]:
    """Return up to PAGE_SIZE places after a number, with what their user may see of them at this moment."""
    page = Notification.objects.of(user).after(seq).for_showing_to(user).order_by("seq")[:PAGE_SIZE]
    return [told(notification) for notification in page]


def told(notification: Notification) -> Told:
    frame = notification.frame
    text = frame.text if notification.is_visible else dumps(withdrawn(frame.event)).decode()
    return Told(notification.seq, head_of_text(text), not notification.is_visible)
