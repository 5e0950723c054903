"""Celery's tasks of the outbox: the delivery of an e-mail, the sweep, and the clean-up.

A delivery claims the e-mail, checks its recipient, renders, sends and records it; no transaction is open during SMTP. A
lost task only delays an e-mail: the sweep finds the row.
"""

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from smtplib import SMTPDataError, SMTPException, SMTPRecipientsRefused
from typing import Any

from celery import current_app, shared_task
from django.core.mail import EmailMultiAlternatives
from django.db import InterfaceError, OperationalError, connection, transaction

from helpdesk.core.cleanup import cleanup_task
from helpdesk.core.redis import RedisError
from helpdesk.core.request_id import on_behalf_of
from helpdesk.emails import actions
from helpdesk.emails.heartbeat import store_sweep_time
from helpdesk.emails.messages import build_message
from helpdesk.emails.models import Email, EmailKind
from helpdesk.subscriptions.models import Channel
from helpdesk.tickets.models import Ticket, TicketEvent
from helpdesk.users.models import AddressChange, User

logger = logging.getLogger(__name__)

EMAILS_PER_SWEEP = 1_000
# With more messages in the queue, the e-mails that are due are probably among them.
MAXIMUM_QUEUE_LENGTH = 100
DATABASE_ERRORS = (OperationalError, InterfaceError)
PERMANENT_FAILURE = 500
RECORD_RETRY_DELAYS_SECONDS = (0.5, 1, 2, 4, 8)
# CLOCK_BOOTTIME, where it exists, also counts the time that the machine is suspended.
CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


@shared_task
def send_emails(email_ids: list[int]) -> None:
    """Deliver the first e-mail here and queue the others one by one, so that the workers share them."""
    queue_each(email_ids[1:])
    send_email(email_ids[0])


@shared_task
def send_email(email_id: int) -> None:
    """Deliver an e-mail and record the outcome; does nothing if it is not due or another worker has claimed it."""
    email = actions.claim(email_id)
    if email is None:
        return
    with on_behalf_of(email.request_id):
        try:
            is_accepted = deliver_claimed(email)
        except DATABASE_ERRORS as error:
            logger.warning("E-mail %s not sent, PostgreSQL unavailable: %s", email_id, error)
            record_persistently(partial(actions.release_lease, error=describe(error)), email)
        else:
            if is_accepted:
                record_persistently(actions.mark_sent, email)


@shared_task
def send_due_emails() -> int:
    """The sweep: fail interrupted attempts and queue the e-mails that are due; returns how many.

    Queues nothing while the queue is long, which would grow with each sweep, or while another sweep runs, as when
    workers come back to the sweeps of an outage.
    """
    actions.release_expired_leases()
    actions.fail_exhausted()
    email_ids: list[int] = []
    with transaction.atomic():
        if actions.try_sweep_lock() and get_queue_length() <= MAXIMUM_QUEUE_LENGTH:
            email_ids = list(Email.objects.due().values_list("pk", flat=True)[:EMAILS_PER_SWEEP])
            queue_each(email_ids)
    try:
        store_sweep_time()
    except RedisError as error:
        logger.warning("Redis unavailable: sweep heartbeat not stored (%s)", error)
    return len(email_ids)


@cleanup_task
def delete_old_emails() -> int:
    """Returns the number of deleted e-mails."""
    return actions.delete_old_emails()


def get_queue_length() -> int:
    """Return the number of messages that no worker has taken from the queue yet."""
    with current_app.connection_or_acquire() as broker:
        return int(broker.default_channel.queue_declare(current_app.conf.task_default_queue).message_count)


def queue_each(email_ids: Sequence[int]) -> None:
    for email_id in email_ids:
        send_email.apply_async((email_id,), retry=False)


def deliver_claimed(email: Email) -> bool:
    """Return whether the SMTP server has accepted the message; any other outcome is already recorded."""
    resolve_recipient(email)
    if reason := get_cancellation_reason(email):
        actions.cancel(email, reason=reason)
        return False
    try:
        message = build_message(email)
    except DATABASE_ERRORS:
        raise
    except Exception as error:
        logger.exception("E-mail %s cannot be rendered", email.pk)
        actions.mark_dead(email, error=f"It cannot be rendered: {describe(error)}")
        return False
    return send_within_lease(email, message)


def resolve_recipient(email: Email) -> None:
    """Set the recipient and the address of today; that of a notice is the one of the time when it was enqueued."""
    if email.kind == EmailKind.ADDRESS_CHANGE_NOTICE:
        return
    if email.event is None:
        email.recipient = get_address_owner(email)
    if email.recipient is not None:
        # In the account's spelling: to other systems one that differs in case may be another address.
        email.address = email.recipient.email


def get_address_owner(email: Email) -> User | None:
    # A user's own address in another spelling has to be confirmed like a new one.
    requester_id = email.address_change.user_id if email.address_change else None
    owner: User | None = User.objects.with_email(email.address).exclude(pk=requester_id).first()
    return owner


def get_cancellation_reason(email: Email) -> str:
    """Return why the recipient should not get the e-mail now; "" if they should."""
    recipient = email.recipient
    if recipient is not None and not recipient.is_active:
        return "The recipient is not active."
    match email.kind:
        case EmailKind.REGISTRATION:
            return "" if email.registration else "The registration has ended."
        case EmailKind.PASSWORD_RESET:
            return "" if recipient else "Nobody has this address."
        case EmailKind.ADDRESS_CHANGE:
            is_pending = AddressChange.objects.pending().filter(pk=email.address_change_id or 0).exists()
            return "" if is_pending else "The change of address has ended."
        case EmailKind.ADDRESS_CHANGE_NOTICE:
            return "" if recipient else "It has no recipient."
        case _:
            return get_ticket_cancellation_reason(email, recipient, email.event)


def get_ticket_cancellation_reason(email: Email, recipient: User | None, event: TicketEvent | None) -> str:
    if recipient is None or event is None:
        return "It has no recipient."
    if not Ticket.objects.visible_to(recipient).filter(pk=event.ticket_id).exists():
        return "The recipient may not see the ticket any more, or it was deleted."
    disabled = recipient.notification_preferences.disabled()
    if disabled.filter(kind=email.kind, channel=Channel.EMAIL).exists():
        return "The recipient has unsubscribed."
    return ""


def send_within_lease(email: Email, message: EmailMultiAlternatives) -> bool:
    """Return whether the SMTP server has accepted the message; record why not.

    Does not connect if too little of the lease is left.
    """
    asked_at = monotonic()
    left = actions.get_remaining_send_time(email) - (monotonic() - asked_at)
    if left <= timedelta(0):
        actions.release_lease(email, error="The worker was delayed for too long to send it within its lease.")
        return False
    try:
        with timeout(left):
            message.send()
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
    remaining, _interval = signal.setitimer(signal.ITIMER_REAL, limit.total_seconds())
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, remaining)
        signal.signal(signal.SIGALRM, handler)


def raise_timeout(*_: Any) -> None:
    raise TimeoutError("Timed out")


def parse_reply(error: SMTPRecipientsRefused | SMTPDataError) -> tuple[int, str]:
    """Return the reply code of the SMTP server (RFC 5321, section 4.2), and code and text on one line."""
    text: bytes | str
    if isinstance(error, SMTPRecipientsRefused):
        code, text = next(iter(error.recipients.values()))
    else:
        code, text = error.smtp_code, error.smtp_error
    return code, f"{code} {text.decode(errors='replace') if isinstance(text, bytes) else text}"


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
