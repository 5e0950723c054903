"""The shapes that clients rely on, exactly."""

import pytest

from helpdesk.tickets.models import Priority
from helpdesk.tickets.tests.factories import TicketFactory

pytestmark = pytest.mark.django_db


def test_a_list_item_has_exactly_the_core(api, agent, customer):
    ticket = TicketFactory(created_by=customer, title="No sound", priority=Priority.HIGH, assigned_to=agent)

    page = api(customer).get("/api/tickets/").json()

    assert page == {
        "count": 1,
        "next": None,
        "previous": None,
        "results": [
            {
                "id": ticket.pk,
                "title": "No sound",
                "status": "open",
                "priority": "high",
                "created_by": {"id": customer.pk, "username": "alice", "name": customer.name, "role": "customer"},
                "assigned_to": {"id": agent.pk, "username": "agatha", "name": agent.name, "role": "agent"},
                "comments_count": 0,
                "last_comment_at": None,
                "created_at": ticket.created_at.isoformat().replace("+00:00", "Z"),
                "updated_at": ticket.updated_at.isoformat().replace("+00:00", "Z"),
            },
        ],
    }
