"""What the Celery worker does for the outbox. A task that is lost costs some seconds: the row is the truth."""

import logging

from celery import current_app, shared_task
from django.db import transaction
from kombu.exceptions import OperationalError as BrokerError

from helpdesk.core.background import Background
from helpdesk.core.cleanup import cleanup_task
from helpdesk.core.redis import RedisError
from helpdesk.emails import actions
from helpdesk.emails.delivery import deliver
from helpdesk.emails.heartbeat import note_sweep
from helpdesk.emails.models import Email

logger = logging.getLogger(__name__)

ROWS_PER_SWEEP = 1_000
# While more messages wait for the workers, what is due is probably among them.
LONG_QUEUE = 100


@shared_task
def send_email(email_id: int) -> None:
    """Send an e-mail if it is due and nobody else is sending it."""
    deliver(email_id)


@shared_task
def send_emails(email_ids: list[int]) -> None:
    """Hand e-mails out, so that the workers share them."""
    for email_id in email_ids:
        send_email.apply_async((email_id,), retry=False)


@shared_task
def send_due_emails() -> int:
    """Sweep: start what is due, whatever became of the task that should have; returns how many.

    While the queue is long it starts nothing, or the queue would grow with every sweep; nor while another sweep does, as
    when workers come back to all those that beat has asked for meanwhile.
    """
    actions.release_expired()
    actions.bury_lost()
    email_ids: list[int] = []
    with transaction.atomic():
        if actions.begins_sweep() and messages_waiting() <= LONG_QUEUE:
            email_ids = list(Email.objects.due().values_list("pk", flat=True)[:ROWS_PER_SWEEP])
            send_emails(email_ids)
    try:
        note_sweep()
    except RedisError as error:
        logger.warning("Redis does not answer: nobody sees this sweep (%s)", error)
    return len(email_ids)


@cleanup_task
def delete_old_emails() -> int:
    """Delete what ended long ago; returns how many."""
    return actions.delete_old()


def messages_waiting() -> int:
    """Return how many messages the workers have not taken from their queue yet."""
    with current_app.connection_or_acquire() as connection:
        return int(connection.default_channel.queue_declare(current_app.conf.task_default_queue).message_count)


def hand_over(batches: list[list[int]]) -> None:
    """Pass e-mails to the workers in one message; when the broker does not answer, the sweep finds them."""
    email_ids = [email_id for batch in batches for email_id in batch]
    try:
        send_emails.apply_async((email_ids,), retry=False)
    except BrokerError as error:
        logger.warning("The broker does not answer: %d e-mails wait for the sweep (%s)", len(email_ids), error)


sending: Background[list[int]] = Background(hand_over, name="sending")
"""Is given the ids of e-mails that were committed; whoever gives them does not wait for the broker."""
