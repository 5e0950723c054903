"""Celery tasks of the outbox. A lost task only delays an e-mail: the sweep finds the row."""

import logging
from collections.abc import Sequence

from celery import current_app, shared_task
from django.db import transaction
from kombu.exceptions import OperationalError as BrokerError

from helpdesk.core.after_commit import BoundedQueue
from helpdesk.core.cleanup import cleanup_task
from helpdesk.core.redis import RedisError
from helpdesk.emails import actions
from helpdesk.emails.delivery import deliver
from helpdesk.emails.heartbeat import store_sweep_time
from helpdesk.emails.models import Email

logger = logging.getLogger(__name__)

EMAILS_PER_SWEEP = 1_000
# With more messages in the queue, the e-mails that are due are probably among them.
MAXIMUM_QUEUE_LENGTH = 100


@shared_task
def send_email(email_id: int) -> None:
    deliver(email_id)


@shared_task
def send_emails(email_ids: list[int]) -> None:
    """Deliver the first e-mail here and queue the others one by one, so that the workers share them."""
    queue_each(email_ids[1:])
    deliver(email_ids[0])


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
    with current_app.connection_or_acquire() as connection:
        return int(connection.default_channel.queue_declare(current_app.conf.task_default_queue).message_count)


def queue_each(email_ids: Sequence[int]) -> None:
    for email_id in email_ids:
        send_email.apply_async((email_id,), retry=False)


def queue_batches(batches: list[list[int]]) -> None:
    """Pass e-mails to the workers in one message; without the broker they wait for the sweep."""
    email_ids = [email_id for batch in batches for email_id in batch]
    try:
        send_emails.apply_async((email_ids,), retry=False)
    except BrokerError as error:
        logger.warning("Broker unavailable: %d e-mails left to the sweep (%s)", len(email_ids), error)


delivery_queue: BoundedQueue[list[int]] = BoundedQueue(queue_batches, name="delivery queue")
"""Takes lists of ids of committed e-mails without waiting for the broker."""
