"""The delivery of a batch: each of its e-mails is sent and marked sent before the next one has its turn.

A batch has one lease, one SMTP connection, and one reading of the recipients, which is repeated after RECIPIENTS_MAX_AGE. No
transaction is open during SMTP.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import timedelta
from functools import partial
from smtplib import SMTPDataError, SMTPException, SMTPRecipientsRefused

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.db import InterfaceError, OperationalError, connection

from helpdesk.core.request_id import on_behalf_of
from helpdesk.emails import actions
from helpdesk.emails.messages import Bodies, build_message
from helpdesk.emails.models import Email
from helpdesk.emails.recipients import check_recipients
from helpdesk.emails.smtp import monotonic, parse_reply, send_within

logger = logging.getLogger(__name__)

DATABASE_ERRORS = (OperationalError, InterfaceError)
PERMANENT_FAILURE = 500
RECORD_RETRY_DELAYS_SECONDS = (0.5, 1, 2, 4, 8)
# An e-mail is sent if its recipient should get it by what was read at most this long before its turn.
RECIPIENTS_MAX_AGE = timedelta(seconds=5)


class Batch:
    """The claimed e-mails whose turn has not come, and what is read, rendered and opened once for all of them."""

    def __init__(self, emails: Sequence[Email]) -> None:
        self.waiting = deque(emails)
        self.reasons: dict[int, str] = {}
        self.checked_at = timedelta(0)
        self.bodies: Bodies = {}
        self.smtp = get_connection()

    def get_cancellation_reason(self, email: Email) -> str:
        """Return why the recipient of the e-mail whose turn it is should not get it; "" if they should."""
        now = monotonic()
        if email.pk not in self.reasons or now - self.checked_at > RECIPIENTS_MAX_AGE:
            self.reasons, self.checked_at = check_recipients([email, *self.waiting]), now
        return self.reasons[email.pk]


def deliver(email_ids: Sequence[int]) -> None:
    """Deliver those of the e-mails that are due and not claimed by another worker, and record each outcome.

    When the time to send, two thirds of the lease, is over, or PostgreSQL fails, the rest of them is released.
    """
    ends_at = monotonic() + settings.EMAIL_LEASE * 2 / 3
    batch = Batch(actions.claim(email_ids))
    with closing(batch.smtp):
        while batch.waiting:
            email = batch.waiting.popleft()
            with on_behalf_of(email.request_id):
                is_recorded = deliver_and_record(email, batch)
            if not is_recorded or monotonic() >= ends_at:
                break
        if batch.waiting:
            actions.release_unstarted(batch.waiting)


def deliver_and_record(email: Email, batch: Batch) -> bool:
    """Deliver an e-mail and record the outcome; return whether PostgreSQL was available all the time."""
    try:
        is_accepted = deliver_claimed(email, batch)
    except DATABASE_ERRORS as error:
        logger.warning("E-mail %s not sent, PostgreSQL unavailable: %s", email.pk, error)
        record_persistently(partial(actions.release_lease, error=describe(error)), email)
        return False
    if is_accepted:
        record_persistently(actions.mark_sent, email)
    return True


def deliver_claimed(email: Email, batch: Batch) -> bool:
    """Return whether the SMTP server has accepted the message; any other outcome is already recorded."""
    reason = batch.get_cancellation_reason(email)
    started_at = monotonic()
    left = actions.start_attempt(email)
    if left is None:
        return False
    if reason:
        actions.cancel(email, reason=reason)
        return False
    try:
        message = build_message(email, batch.bodies)
    except DATABASE_ERRORS:
        raise
    except Exception as error:
        logger.exception("E-mail %s cannot be rendered", email.pk)
        actions.mark_dead(email, error=f"It cannot be rendered: {describe(error)}")
        return False
    message.connection = batch.smtp
    return send_within_lease(email, message, ends_at=started_at + left)


def send_within_lease(email: Email, message: EmailMessage, *, ends_at: timedelta) -> bool:
    """Return whether the SMTP server has accepted the message; record why not.

    Sends nothing if too little of the lease is left.
    """
    left = ends_at - monotonic()
    if left <= timedelta(0):
        actions.release_lease(email, error="The worker was delayed for too long to send it within its lease.")
        return False
    try:
        send_within(left, message)
    except (SMTPRecipientsRefused, SMTPDataError) as error:
        code, reply = parse_reply(error)
        record = actions.mark_bounced if code >= PERMANENT_FAILURE else actions.retry_later
        record(email, error=reply)
    except (SMTPException, OSError) as error:
        # No connection, a refused login or sender: not about this recipient, so it is temporary whatever the code.
        actions.retry_later(email, error=describe(error))
    except ValueError as error:
        actions.mark_dead(email, error=f"It cannot be sent: {describe(error)}")
    else:
        return True
    return False


def describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def record_persistently(record: Callable[[Email], None], email: Email) -> None:
    """Record an outcome, with retries while PostgreSQL restarts: an unrecorded message would be sent twice.

    Raises OperationalError or InterfaceError after the last retry.
    """
    for delay in RECORD_RETRY_DELAYS_SECONDS:
        try:
            record(email)
        except DATABASE_ERRORS as error:
            logger.warning("Outcome of e-mail %s not recorded yet, PostgreSQL unavailable: %s", email.pk, error)
            connection.close()
            time.sleep(delay)
        else:
            return
    record(email)
