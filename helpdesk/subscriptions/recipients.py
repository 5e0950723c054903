"""Who is notified of an event, and by which channel; announces it to the apps that deliver notifications."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from django.dispatch import Signal, receiver

from helpdesk.subscriptions.models import NOTIFIED_KINDS, Channel, NotificationPreference
from helpdesk.tickets.announcer import ticket_events_committed
from helpdesk.tickets.models import EventKind, Ticket, TicketEvent
from helpdesk.users.models import User

ticket_events_announced = Signal()
"""Sent with `announcements`, a list of at least one Announcement: each committed event that has recipients, once, in order.

Receivers run inside the announcer's transaction, as described for ticket_events_committed.
"""


class Announcement(NamedTuple):
    """An event, its ticket, and the ids of the users to notify: a list for every channel, one of them not empty.

    All of these users are active and may see the ticket.
    """

    event: TicketEvent
    ticket: Ticket
    recipients: dict[Channel, list[int]]


@receiver(ticket_events_committed)
def announce_to_recipients(*, events: list[TicketEvent], **kwargs: Any) -> None:
    if announcements := resolve_recipients(events):
        ticket_events_announced.send(TicketEvent, announcements=announcements)


def resolve_recipients(events: Sequence[TicketEvent]) -> list[Announcement]:
    """Return the events that have recipients, in order; three queries for any number of events.

    A new ticket goes to all agents, a changed status to the ticket's creator, a comment to the creator and the assignee
    except its author: each by the channels that they have not disabled for the kind. Deleted tickets have no recipients.
    """
    notified = [event for event in events if event.kind in NOTIFIED_KINDS]
    tickets = Ticket.objects.select_related("created_by", "assigned_to").in_bulk(
        {event.ticket_id for event in notified}
    )
    has_new_ticket = any(event.kind == EventKind.TICKET_CREATED for event in notified)
    agents = list(User.objects.active().agents().values_list("pk", flat=True)) if has_new_ticket else []
    interested = [
        (event, ticket, users_to_notify(event, ticket, agents))
        for event in notified
        if (ticket := tickets.get(event.ticket_id))
    ]
    disabled = disabled_preferences({user_id for *_, user_ids in interested for user_id in user_ids})
    announcements = [
        Announcement(
            event,
            ticket,
            {
                channel: [user_id for user_id in user_ids if (user_id, event.kind, channel) not in disabled]
                for channel in Channel
            },
        )
        for event, ticket, user_ids in interested
    ]
    return [announcement for announcement in announcements if any(announcement.recipients.values())]


def users_to_notify(event: TicketEvent, ticket: Ticket, agents: list[int]) -> list[int]:
    """Return the ids of the users whom an event concerns, whatever their preferences."""
    if event.kind == EventKind.TICKET_CREATED:
        return agents
    users = {ticket.created_by}
    if event.kind == EventKind.COMMENT_ADDED:
        if ticket.assigned_to is not None and ticket.assigned_to.is_agent:
            users.add(ticket.assigned_to)
        users = {user for user in users if user.pk != event.actor_id}
    return [user.pk for user in users if user.is_active]


def disabled_preferences(user_ids: set[int]) -> set[tuple[int, str, str]]:
    """Return what the users have disabled, as (user id, kind, channel)."""
    preferences = NotificationPreference.objects.disabled().filter(user__in=user_ids)
    return set(preferences.values_list("user_id", "kind", "channel"))
