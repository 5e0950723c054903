"""What the Celery worker does for the outbox. A task that is lost costs some seconds: the row is the truth."""

from collections.abc import Iterable

from celery import shared_task

from helpdesk.emails import actions
from helpdesk.emails.delivery import deliver
from helpdesk.emails.models import Email

LONGEST_DELIVERY_SECONDS = 60
ROWS_PER_SWEEP = 1_000


# Both limits end before the lease does.
@shared_task(soft_time_limit=LONGEST_DELIVERY_SECONDS, time_limit=LONGEST_DELIVERY_SECONDS + 20)
def send_email(email_id: int) -> None:
    """Send an e-mail if it is due and nobody else is sending it."""
    deliver(email_id)


@shared_task
def send_due_emails() -> int:
    """Sweep: start what is due, whatever became of the task that should have; returns how many."""
    actions.bury_lost()
    email_ids = list(Email.objects.due().values_list("pk", flat=True)[:ROWS_PER_SWEEP])
    start_sending(email_ids)
    return len(email_ids)


@shared_task
def delete_old_emails() -> int:
    """Forget what ended long ago; returns how many."""
    return actions.delete_old()


def start_sending(email_ids: Iterable[int]) -> None:
    """Pass e-mails to the workers; raises when the broker does not answer, and the sweep tries again."""
    for email_id in email_ids:
        send_email.apply_async((email_id,), retry=False)
