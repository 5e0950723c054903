"""The delivery of a batch: each of its e-mails is sent and marked sent before the next one has its turn.

A batch has one lease, one SMTP connection, and one reading of the recipients, which is repeated after RECIPIENTS_MAX_AGE. No
transaction is open during SMTP.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
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
from helpdesk.emails.models import Email, EmailKind
from helpdesk.emails.smtp import monotonic, parse_reply, send_within
from helpdesk.subscriptions.models import Channel
from helpdesk.subscriptions.recipients import disabled_preferences
from helpdesk.tickets.models import Ticket, TicketEvent
from helpdesk.users.models import AddressChange, Registration, User

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


def check_recipients(emails: Sequence[Email]) -> dict[int, str]:
    """Return, by the e-mails' ids, why their recipients should not get them now; "" if they should.

    Sets what the messages are made of, as it is now: events with tickets and comments, recipients, addresses, and what is
    to be confirmed. At most six queries, and one for each e-mail to an address whose owner is looked up.
    """
    events, tickets = read_events(emails)
    users = User.objects.in_bulk({email.recipient_id for email in emails if email.recipient_id})
    registrations = Registration.objects.in_bulk({email.registration_id for email in emails if email.registration_id})
    change_ids = {email.address_change_id for email in emails if email.address_change_id}
    changes = AddressChange.objects.pending().in_bulk(change_ids)
    disabled = disabled_preferences(set(users))
    reasons = {}
    for email in emails:
        email.event = events.get(email.event_id or 0)
        email.registration = registrations.get(email.registration_id or 0)
        email.address_change = changes.get(email.address_change_id or 0)
        email.recipient = users.get(email.recipient_id or 0)
        set_address(email)
        reasons[email.pk] = get_cancellation_reason(email, tickets, disabled)
    return reasons


def read_events(emails: Sequence[Email]) -> tuple[dict[int, TicketEvent], dict[int, Ticket]]:
    """Return the events of the e-mails and their tickets, unless these were deleted, by their ids."""
    event_ids = {email.event_id for email in emails if email.event_id}
    events = TicketEvent.objects.select_related("actor", "comment__author").in_bulk(event_ids)
    ticket_ids = {event.ticket_id for event in events.values()}
    tickets = Ticket.objects.select_related("created_by").in_bulk(ticket_ids)
    for event in events.values():
        if event.ticket_id in tickets:
            event.ticket = tickets[event.ticket_id]
    return events, tickets


def set_address(email: Email) -> None:
    """Set the address of today, and whose it is; that of a notice is the one of the time when it was enqueued."""
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


def get_cancellation_reason(
    email: Email, tickets: Mapping[int, Ticket], disabled: Collection[tuple[int, str, str]]
) -> str:
    recipient = email.recipient
    if recipient is not None and not recipient.is_active:
        return "The recipient is not active."
    match email.kind:
        case EmailKind.REGISTRATION:
            return "" if email.registration else "The registration has ended."
        case EmailKind.PASSWORD_RESET:
            return "" if recipient else "Nobody has this address."
        case EmailKind.ADDRESS_CHANGE:
            return "" if email.address_change else "The change of address has ended."
        case EmailKind.ADDRESS_CHANGE_NOTICE:
            return "" if recipient else "It has no recipient."
    if recipient is None or email.event is None:
        return "It has no recipient."
    ticket = tickets.get(email.event.ticket_id)
    if ticket is None or not ticket.is_visible_to(recipient):
        return "The recipient may not see the ticket any more, or it was deleted."
    if (recipient.pk, email.kind, Channel.EMAIL) in disabled:
        return "The recipient has unsubscribed."
    return ""
