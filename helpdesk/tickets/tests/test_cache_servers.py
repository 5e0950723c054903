"""Lists in a Valkey that is full, or that is killed and starts again from a snapshot."""

from collections import Counter

import pytest
from asgiref.sync import async_to_sync
from celery import current_app
from channels.layers import get_channel_layer

from helpdesk.core.cached_lists import SLOT_BYTES
from helpdesk.tickets.models import Comment, Ticket
from helpdesk.tickets.tests.factories import TicketFactory
from helpdesk.users.tests.factories import PASSWORD

MEGABYTE = 1024 * 1024
FULL = ["--maxmemory", "16mb", "--maxmemory-policy", "volatile-lru", "--maxmemory-samples", "10"]
PAGES = 330


@pytest.fixture
def pages_of_60_kb(agent, customer):
    """Return the addresses of as many lists as fill 16 MB."""
    tickets = Ticket.objects.bulk_create(Ticket(title="T", description="D", created_by=customer) for _ in range(PAGES))
    Comment.objects.bulk_create(
        Comment(ticket=ticket, author=agent, content="x" * 2_900) for ticket in tickets for _ in range(20)
    )
    return [f"/api/comments/?ticket={ticket.pk}" for ticket in tickets]


@pytest.mark.django_db
def test_a_cache_that_is_full_costs_no_limit_no_login_and_no_message(api, agent, valkey, settings, pages_of_60_kb):
    server = valkey(*FULL)
    settings.LIST_CACHE_BYTES = 8 * MEGABYTE
    settings.THROTTLE_USER_RATE, settings.THROTTLE_ANON_RATE = "300/minute", "2/minute"
    client = api(agent)

    statuses = Counter(client.get(address).status_code for address in pages_of_60_kb)

    assert statuses == {200: 300, 429: PAGES - 300}
    assert log_in(api, agent) == [200, 200, 429]
    assert celery_takes_a_message(server)
    assert channel_layer_passes_a_message_on(server, settings)
    assert len(server.client.keys("helpdesk:page:*")) <= 8 * MEGABYTE // SLOT_BYTES
    assert server.client.info("stats")["evicted_keys"] == 0


def log_in(api, user):
    body = {"username": user.username, "password": PASSWORD}
    return [api().post("/api/auth/token/", body).status_code for _ in range(3)]


def celery_takes_a_message(server):
    with current_app.connection_for_write(server.url) as connection:
        current_app.send_task("helpdesk.emails.tasks.send_due_emails", connection=connection)
    return server.client.llen("celery:celery") == 1


def channel_layer_passes_a_message_on(server, settings):
    layer = settings.CHANNEL_LAYERS["default"]
    hosts = [layer["CONFIG"]["hosts"][0] | {"address": server.url}]
    settings.CHANNEL_LAYERS = {"default": layer | {"CONFIG": layer["CONFIG"] | {"hosts": hosts}}}
    sent = {"type": "a.message"}

    async def send_and_receive():
        layer = get_channel_layer()
        channel = await layer.new_channel()
        await layer.group_add("everybody", channel)
        await layer.group_send("everybody", sent)
        return await layer.receive(channel)

    return async_to_sync(send_and_receive)() == sent


@pytest.mark.django_db
def test_a_valkey_that_starts_again_from_a_snapshot_shows_nothing_old(
    api, agent, customer, valkey, django_assert_num_queries
):
    server = valkey()
    ticket = TicketFactory(created_by=customer, title="Before")
    client = api(agent)
    assert titles(client) == ["Before"]
    server.client.save()
    client.patch(f"/api/tickets/{ticket.pk}/", {"title": "After"})
    assert titles(client) == ["After"]

    server.kill()
    server.start()

    assert titles(client) == ["After"]
    with django_assert_num_queries(1):
        assert titles(client) == ["After"]


def titles(client):
    return [item["title"] for item in client.get("/api/tickets/").json()["results"]]
