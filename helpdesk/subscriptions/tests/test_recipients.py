"""Who is notified of an event, by which channel; what each channel delivers is tested in its app."""

import pytest

from helpdesk.subscriptions.models import Channel, NotificationPreference
from helpdesk.subscriptions.recipients import resolve_recipients
from helpdesk.tickets import actions
from helpdesk.tickets.models import TicketEvent
from helpdesk.tickets.tests.factories import by

pytestmark = pytest.mark.django_db


def test_recipients_of_many_events_are_resolved_for_all_channels_in_three_queries(
    customer, agent, superuser, django_assert_num_queries
):
    NotificationPreference.objects.create(user=agent, kind="ticket_created", channel=Channel.EMAIL, is_enabled=False)
    for _ in range(3):
        ticket = actions.create_ticket(by(customer), title="T", description="D")
        actions.update_ticket(by(agent), ticket.pk, changes={"priority": 1, "assigned_to": superuser})
        actions.add_comment(by(customer), ticket.pk, content="Hello")
    events = list(TicketEvent.objects.order_by("pk"))

    with django_assert_num_queries(3):
        announcements = resolve_recipients(events)

    assert [(event.kind, ticket.pk, recipients) for event, ticket, recipients in announcements] == [
        (event.kind, event.ticket_id, {channel: sorted(users) for channel, users in expected.items()})
        for event in events
        for kind, expected in [
            ("ticket_created", {Channel.EMAIL: [superuser.pk], Channel.LIVE: [agent.pk, superuser.pk]}),
            ("comment_added", {Channel.EMAIL: [superuser.pk], Channel.LIVE: [superuser.pk]}),
        ]
        if event.kind == kind
    ]
