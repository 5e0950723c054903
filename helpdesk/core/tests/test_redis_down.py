"""Without Redis nothing is cached and nothing fails."""

import pytest

from helpdesk.tickets.models import TicketEvent
from helpdesk.tickets.tests.factories import TicketFactory

pytestmark = pytest.mark.django_db

NOBODY_LISTENS = "redis://127.0.0.1:1/0"


@pytest.fixture
def redis_down(settings):
    settings.CACHES = {"default": settings.CACHES["default"] | {"LOCATION": NOBODY_LISTENS}}
    settings.REDIS_URL = NOBODY_LISTENS


def test_lists_still_answer_and_are_fresh(api, agent, redis_down):
    client = api(agent)
    assert client.get("/api/tickets/").json()["count"] == 0

    TicketFactory()

    assert client.get("/api/tickets/").json()["count"] == 1


def test_writes_still_answer_and_are_recorded(api, agent, customer, redis_down):
    created = api(customer).post("/api/tickets/", {"title": "T", "description": "D"})
    ticket_id = created.json()["id"]
    commented = api(customer).post("/api/comments/", {"ticket": ticket_id, "content": "Hello"})
    changed = api(agent).patch(f"/api/tickets/{ticket_id}/", {"status": "closed"})

    assert [created.status_code, commented.status_code, changed.status_code] == [201, 201, 200]
    assert TicketEvent.objects.count() == 3
