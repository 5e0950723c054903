"""Celery's tasks of the outbox: the delivery of a batch, the sweep, and the clean-up.

The broker holds a bounded number of messages, each with the ids of a batch; the other e-mails wait as rows. A message that
is lost only delays its e-mails: the sweep finds the rows.
"""

import logging
from collections.abc import Sequence

from celery import current_app, shared_task
from django.conf import settings
from django.db import transaction
from kombu.exceptions import OperationalError as BrokerError

from helpdesk.core.cleanup import cleanup_task
from helpdesk.core.redis import RedisError
from helpdesk.emails import actions
from helpdesk.emails.delivery import deliver
from helpdesk.emails.heartbeat import store_sweep_time
from helpdesk.emails.models import Email

logger = logging.getLogger(__name__)

BATCH_SIZE = 25
MAXIMUM_EMAILS_QUEUED_AT_ONCE = 1_000
# With more messages in the queue, the e-mails that are due are probably among them.
MAXIMUM_QUEUE_LENGTH = 100
BROKER_ERRORS = (BrokerError, RedisError)


@shared_task
def send_emails(email_ids: list[int]) -> None:
    """Deliver a batch: those of the e-mails that are due and not claimed by another worker."""
    deliver(email_ids)
    if len(email_ids) == BATCH_SIZE:
        queue_more_emails()


@shared_task
def send_due_emails() -> int:
    """The sweep: fail interrupted attempts and queue the e-mails that are due; returns how many.

    Queues nothing while the queue is long, which would grow with each sweep, or while another sweep runs, as when
    workers come back to the sweeps of an outage.
    """
    actions.release_expired_leases()
    actions.fail_exhausted()
    count = queue_due_emails()
    try:
        store_sweep_time()
    except RedisError as error:
        logger.warning("Redis unavailable: sweep heartbeat not stored (%s)", error)
    return count


@cleanup_task
def delete_old_emails() -> int:
    """Returns the number of deleted e-mails."""
    return actions.delete_old_emails()


def queue_emails(email_ids: Sequence[int], *, queue: str) -> int:
    """Pass e-mails to the workers of a queue, in batches, which they share; return how many.

    The rest waits as rows: all while many messages wait, otherwise what exceeds MAXIMUM_EMAILS_QUEUED_AT_ONCE. Raises one
    of BROKER_ERRORS.
    """
    if not email_ids or get_queue_length(queue) > MAXIMUM_QUEUE_LENGTH:
        return 0
    queued = email_ids[:MAXIMUM_EMAILS_QUEUED_AT_ONCE]
    for start in range(0, len(queued), BATCH_SIZE):
        send_emails.apply_async((list(queued[start : start + BATCH_SIZE]),), queue=queue, retry=False)
    return len(queued)


def get_queue_length(queue: str) -> int:
    """Return the number of messages that no worker has taken from the queue yet; raises one of BROKER_ERRORS."""
    with current_app.connection_or_acquire() as broker:
        return int(broker.default_channel.queue_declare(queue).message_count)


@transaction.atomic
def queue_due_emails() -> int:
    """Queue the e-mails that are due, unless another worker does it at this moment; return how many."""
    if not actions.try_sweep_lock():
        return 0
    due = Email.objects.due().values_list("pk", flat=True)
    of_accounts, of_tickets = (
        list(due.filter(event__isnull=is_null)[:MAXIMUM_EMAILS_QUEUED_AT_ONCE]) for is_null in (True, False)
    )
    count = queue_emails(of_accounts, queue=settings.EMAIL_ACCOUNT_QUEUE)
    return count + queue_emails(of_tickets, queue=current_app.conf.task_default_queue)


def queue_more_emails() -> None:
    """Queue the e-mails that are due if no message waits: the rest of many needs no sweep."""
    try:
        if get_queue_length(current_app.conf.task_default_queue) == 0:
            queue_due_emails()
    except BROKER_ERRORS as error:
        logger.warning("Broker unavailable: e-mails left to the sweep (%s)", error)
