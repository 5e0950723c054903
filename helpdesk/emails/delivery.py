"""Sends one e-mail: claimed before, noted afterwards, with no transaction open while the SMTP server is spoken to."""

import logging
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from smtplib import SMTPDataError, SMTPException, SMTPRecipientsRefused

from django.core.mail import EmailMultiAlternatives
from django.db import InterfaceError, OperationalError, connection

from helpdesk.core.request_id import on_behalf_of
from helpdesk.emails import actions
from helpdesk.emails.deadline import deadline, now
from helpdesk.emails.messages import message_of
from helpdesk.emails.models import Email, EmailKind
from helpdesk.tickets.audience import wants
from helpdesk.tickets.models import Medium, Ticket, TicketEvent
from helpdesk.users.models import AddressChange, User

logger = logging.getLogger(__name__)

DATABASE_ERRORS = (OperationalError, InterfaceError)
PERMANENT = 500
PAUSES_SECONDS = (0.5, 1, 2, 4, 8)


def deliver(email_id: int) -> None:
    """Send an e-mail that is due, and note what became of it; does nothing when somebody else is at it."""
    email = actions.claim(email_id)
    if email is None:
        return
    with on_behalf_of(email.request_id):
        try:
            is_accepted = deliver_claimed(email)
        except DATABASE_ERRORS as error:
            logger.warning("E-mail %s is not sent, as PostgreSQL does not answer: %s", email_id, error)
            persistently(partial(actions.release, error=described(error)), email)
        else:
            if is_accepted:
                persistently(actions.mark_sent, email)


def deliver_claimed(email: Email) -> bool:
    """Return whether the SMTP server has accepted it; what became of it otherwise is noted."""
    find_recipient(email)
    if reason := reason_to_withdraw(email):
        actions.withdraw(email, reason=reason)
        return False
    message = rendered(email)
    return message is not None and send(email, message)


def find_recipient(email: Email) -> None:
    """Look up who has the address at this moment; the answer to their request did not depend on it."""
    if email.kind == EmailKind.ADDRESS_CHANGE_NOTICE:
        # The address that they had when it was written.
        return
    if email.event is None:
        email.recipient = owner_of_address(email)
    if email.recipient is not None:
        # As it is written in the account: a look-alike of it may lead to somebody else.
        email.address = email.recipient.email


def owner_of_address(email: Email) -> User | None:
    # Who wants their own address in another spelling has to show that this one leads to them too.
    asker_id = email.address_change.user_id if email.address_change else None
    owner: User | None = User.objects.with_email(email.address).exclude(pk=asker_id).first()
    return owner


def reason_to_withdraw(email: Email) -> str:
    """Return why the recipient is not to get it at this moment; empty when they are."""
    reader = email.recipient
    if reader is not None and not reader.is_active:
        return "The recipient is not active."
    match email.kind:
        case EmailKind.REGISTRATION:
            return "" if email.registration else "The registration has ended."
        case EmailKind.PASSWORD_RESET:
            return "" if reader else "Nobody has this address."
        case EmailKind.ADDRESS_CHANGE:
            is_pending = AddressChange.objects.living().filter(pk=email.address_change_id or 0).exists()
            return "" if is_pending else "The change of address has ended."
        case EmailKind.ADDRESS_CHANGE_NOTICE:
            return "" if reader else "It has no recipient."
        case _:
            return reason_to_withdraw_news(email, reader, email.event)


def reason_to_withdraw_news(email: Email, reader: User | None, event: TicketEvent | None) -> str:
    if reader is None or event is None:
        return "It has no recipient."
    if not Ticket.objects.visible_to(reader).filter(pk=event.ticket_id).exists():
        return "The recipient may not see the ticket any more, or it was deleted."
    if not wants(reader, kind=email.kind, medium=Medium.EMAIL):
        return "The recipient has unsubscribed."
    return ""


def rendered(email: Email) -> EmailMultiAlternatives | None:
    """Return the message; what cannot be rendered never can, so it is given up with its reason."""
    try:
        return message_of(email)
    except DATABASE_ERRORS:
        raise
    except Exception as error:
        logger.exception("E-mail %s cannot be rendered", email.pk)
        actions.bury(email, error=f"It cannot be rendered: {described(error)}")
        return None


def send(email: Email, message: EmailMultiAlternatives) -> bool:
    """Return whether the SMTP server has accepted it; it is not asked when the lease has ended meanwhile."""
    asked_at = now()
    left = actions.time_to_send(email) - (now() - asked_at)
    if left <= timedelta(0):
        actions.release(email, error="The worker was held up for too long to send it within its lease.")
        return False
    try:
        with deadline(left):
            message.send()
    except (SMTPRecipientsRefused, SMTPDataError) as error:
        code, words = reply_in(error)
        end = actions.bounce if code >= PERMANENT else actions.postpone
        end(email, error=words)
    except (SMTPException, OSError) as error:
        # No greeting, a refused login or sender: the server's trouble with us, and not with this recipient.
        actions.postpone(email, error=described(error))
    except ValueError as error:
        actions.bury(email, error=f"It cannot be sent: {described(error)}")
    else:
        return True
    return False


def reply_in(error: SMTPRecipientsRefused | SMTPDataError) -> tuple[int, str]:
    """Return the SMTP server's code, and its reply in one line."""
    if isinstance(error, SMTPRecipientsRefused):
        code, words = next(iter(error.recipients.values()))
        return code, reply(code, words)
    return error.smtp_code, reply(error.smtp_code, error.smtp_error)


def reply(code: int, words: bytes | str) -> str:
    return f"{code} {words.decode(errors='replace') if isinstance(words, bytes) else words}"


def described(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def persistently(mark: Callable[[Email], None], email: Email) -> None:
    """Note what must not be forgotten, also while PostgreSQL restarts: a sent e-mail would be sent twice."""
    for pause in PAUSES_SECONDS:
        try:
            mark(email)
        except DATABASE_ERRORS as error:
            logger.warning("The outcome of e-mail %s is not noted yet: %s", email.pk, error)
            connection.close()
            time.sleep(pause)
        else:
            return
    mark(email)
