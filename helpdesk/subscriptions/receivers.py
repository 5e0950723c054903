"""Signal receivers."""

from typing import Any

from django.dispatch import receiver

from helpdesk.subscriptions.recipients import resolve_recipients
from helpdesk.subscriptions.signals import ticket_events_announced
from helpdesk.tickets.models import TicketEvent
from helpdesk.tickets.signals import ticket_events_committed


@receiver(ticket_events_committed)
def announce_to_recipients(*, events: list[TicketEvent], **kwargs: Any) -> None:
    if announcements := resolve_recipients(events):
        ticket_events_announced.send(TicketEvent, announcements=announcements)
