"""Sends messages by SMTP: over one connection that is opened again when it breaks, and within a limit of time."""

import signal
import smtplib
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from smtplib import SMTPDataError, SMTPException, SMTPRecipientsRefused, SMTPSenderRefused
from typing import Any

from django.core.mail import EmailMessage
from django.core.mail.backends import smtp

# CLOCK_BOOTTIME, where it exists, also counts the time that the machine is suspended.
CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
SHORTEST_TIMEOUT_SECONDS = 0.001
# After these smtplib has reset the session, unless the server has ended it with 421.
REFUSALS = (SMTPSenderRefused, SMTPRecipientsRefused, SMTPDataError)


class NotHandedOverError(SMTPException):
    """A connection that had been used before broke before the data of the next message was sent over it."""


class Connection(smtplib.SMTP):
    """Records whether the data of the current message was sent, after which the server may have accepted it."""

    has_sent_data = False

    def data(self, msg: Any) -> tuple[int, bytes]:
        self.has_sent_data = True
        return super().data(msg)


class EmailBackend(smtp.EmailBackend):
    """Sends all messages over one connection until it is closed; a broken one is dropped, and opened again when needed.

    A server may end a connection whenever it likes, such as after a number of messages: that is no failure of the next
    message, so it raises NotHandedOverError, and the message may be sent again at once.
    """

    connection: Connection | None
    connection_class = Connection

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        is_new = self.open()
        if self.connection is None:
            raise TypeError("open() has returned without a connection.")
        self.connection.has_sent_data = False
        try:
            return super().send_messages(email_messages)
        except Exception as error:
            if isinstance(error, REFUSALS) and self.connection.sock is not None:
                raise
            is_repeatable = not (is_new or self.connection.has_sent_data) and isinstance(
                error, SMTPException | OSError
            )
            self.drop_connection()
            if is_repeatable:
                raise NotHandedOverError(str(error)) from error
            raise

    def drop_connection(self) -> None:
        """Close it without QUIT, for whose reply a broken connection would wait."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def close(self) -> None:
        """End the session; the server has already answered for every message, so its reply does not matter."""
        with suppress(SMTPException, OSError):
            super().close()


def send_within(limit: timedelta, message: EmailMessage) -> None:
    """Send a message over the connection that it names, if necessary over a new one, by SMTP within a time.

    Raises SMTPException or OSError, TimeoutError among them; ValueError if SMTP cannot carry the address.
    """
    end = monotonic() + limit
    try:
        with timeout(limit):
            message.send()
    except NotHandedOverError:
        with timeout(end - monotonic()):
            message.send()


def parse_reply(error: SMTPRecipientsRefused | SMTPDataError) -> tuple[int, str]:
    """Return the reply code of the SMTP server (RFC 5321, section 4.2), and code and text on one line."""
    text: bytes | str
    if isinstance(error, SMTPRecipientsRefused):
        code, text = next(iter(error.recipients.values()))
    else:
        code, text = error.smtp_code, error.smtp_error
    return code, f"{code} {text.decode(errors='replace') if isinstance(text, bytes) else text}"


def monotonic() -> timedelta:
    return timedelta(seconds=time.clock_gettime(CLOCK))


@contextmanager
def timeout(limit: timedelta) -> Iterator[None]:
    """Raise TimeoutError in the block after `limit`, by SIGALRM; does nothing outside the main thread.

    A socket timeout alone never ends while the server sends a byte now and then. Celery's own time limits are signals
    from the parent process: after an outage of the broker it sends them before it learns that the task has ended, and
    hits the next e-mail.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.signal(signal.SIGALRM, raise_timeout)
    # Zero would mean no limit.
    seconds = max(limit.total_seconds(), SHORTEST_TIMEOUT_SECONDS)
    remaining, _interval = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, remaining)
        signal.signal(signal.SIGALRM, handler)


def raise_timeout(*_: Any) -> None:
    raise TimeoutError("Timed out")
