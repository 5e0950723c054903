"""Signal receivers: each enqueues e-mails in the sender's transaction and passes them to the workers after its commit."""

import logging
from typing import Any

from celery import current_app
from django.conf import settings
from django.dispatch import receiver

from helpdesk.core.after_commit import BoundedQueue, after_commit
from helpdesk.emails.actions import enqueue_account_email, enqueue_ticket_emails
from helpdesk.emails.models import EmailKind
from helpdesk.emails.tasks import BROKER_ERRORS, queue_emails
from helpdesk.subscriptions.recipients import Announcement, ticket_events_announced
from helpdesk.users.models import AddressChange, Registration
from helpdesk.users.signals import address_change_requested, password_reset_requested, registration_requested

logger = logging.getLogger(__name__)


def queue_or_leave(batches: list[list[int]], *, queue: str) -> None:
    """Pass e-mails to the workers; without the broker they wait for the sweep, as do those that are too many for it."""
    email_ids = [email_id for batch in batches for email_id in batch]
    try:
        queue_emails(email_ids, queue=queue)
    except BROKER_ERRORS as error:
        logger.warning("Broker unavailable: %d e-mails left to the sweep (%s)", len(email_ids), error)


def queue_ticket_emails(batches: list[list[int]]) -> None:
    queue_or_leave(batches, queue=current_app.conf.task_default_queue)


def queue_account_emails(batches: list[list[int]]) -> None:
    queue_or_leave(batches, queue=settings.EMAIL_ACCOUNT_QUEUE)


delivery_queue: BoundedQueue[list[int]] = BoundedQueue(queue_ticket_emails, name="delivery queue")
account_queue: BoundedQueue[list[int]] = BoundedQueue(queue_account_emails, name="account delivery queue")
"""Both take lists of ids of committed e-mails without waiting for the broker."""


@receiver(ticket_events_announced)
def enqueue_for_events(*, announcements: list[Announcement], **kwargs: Any) -> None:
    if email_ids := enqueue_ticket_emails(announcements):
        after_commit(delivery_queue.put, email_ids)


@receiver(registration_requested)
def enqueue_registration(*, registration: Registration, **kwargs: Any) -> None:
    enqueue(
        EmailKind.REGISTRATION,
        address=registration.email,
        language=registration.language,
        registration=registration,
    )


@receiver(address_change_requested)
def enqueue_address_change_and_notice(*, change: AddressChange, **kwargs: Any) -> None:
    user = change.user
    enqueue(EmailKind.ADDRESS_CHANGE, address=change.email, language=user.language, address_change=change)
    enqueue(EmailKind.ADDRESS_CHANGE_NOTICE, address=user.email, language=user.language, recipient=user)


@receiver(password_reset_requested)
def enqueue_password_reset(*, email: str, language: str, **kwargs: Any) -> None:
    enqueue(EmailKind.PASSWORD_RESET, address=email, language=language)


def enqueue(kind: EmailKind, **fields: Any) -> None:
    after_commit(account_queue.put, [enqueue_account_email(kind, **fields)])
