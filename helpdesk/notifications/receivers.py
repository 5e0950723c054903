"""What notifications hears."""

from typing import Any

from django.dispatch import receiver

from helpdesk.notifications.actions import fill_inboxes
from helpdesk.tickets.models import TicketEvent
from helpdesk.tickets.signals import ticket_event_announced


@receiver(ticket_event_announced)
def tell_audience(*, event: TicketEvent, **kwargs: Any) -> None:
    fill_inboxes(event)
