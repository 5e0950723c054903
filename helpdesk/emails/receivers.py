"""What emails hears."""

from typing import Any

from django.dispatch import receiver

from helpdesk.core.after_commit import after_commit
from helpdesk.emails.actions import queue_emails
from helpdesk.emails.tasks import start_sending
from helpdesk.tickets.models import TicketEvent
from helpdesk.tickets.signals import ticket_event_announced


@receiver(ticket_event_announced)
def owe_emails(*, event: TicketEvent, **kwargs: Any) -> None:
    if email_ids := queue_emails(event):
        after_commit(start_sending, email_ids)
