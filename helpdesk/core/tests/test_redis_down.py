"""Without Redis nothing is cached and no request fails."""

import socket
import time
from contextlib import suppress

import pytest

from helpdesk.core.redis import RECOVERY_SECONDS, circuit
from helpdesk.core.throttles import limiter
from helpdesk.tickets.models import TicketEvent
from helpdesk.tickets.tests.factories import TicketFactory

pytestmark = pytest.mark.django_db


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


@pytest.fixture
def hung_redis(settings):
    """A server that accepts connections and never answers; yield its listener."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0)
        address = f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
        settings.CACHES = {"default": settings.CACHES["default"] | {"LOCATION": address}}
        settings.THROTTLE_USER_RATE = "100/minute"
        limiter.cache_clear()
        yield listener
        limiter.cache_clear()


def count_connections(listener):
    """Return the number of connections since the last call."""
    count = 0
    with suppress(BlockingIOError):
        while True:
            listener.accept()[0].close()
            count += 1
    return count


def test_requests_wait_for_a_hung_redis_once_per_pause(api, customer, hung_redis, monkeypatch):
    alice = api(customer)

    statuses = [alice.post("/api/tickets/", {"title": "T", "description": "D"}).status_code for _ in range(2)]
    statuses += [alice.get("/api/tickets/").status_code]

    assert statuses == [201, 201, 200]
    assert count_connections(hung_redis) == 1

    after_the_pause = circuit.open_until
    monkeypatch.setattr(time, "monotonic", lambda: after_the_pause)
    assert alice.get("/api/tickets/").status_code == 200
    assert count_connections(hung_redis) == 1


def messages(caplog):
    return [record.getMessage() for record in caplog.records if record.name.startswith("helpdesk.core.")]


def test_an_outage_is_one_line_without_what_was_asked_for(api, agent, redis_down, caplog, monkeypatch):
    clock = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: clock)
    client = api(agent)
    for _ in range(3):
        client.get("/api/tickets/?search=secret")
        clock += 2

    (line,) = messages(caplog)
    assert line.startswith("Redis unavailable: continuing without it: ")
    assert "secret" not in caplog.text


def test_the_end_of_an_outage_is_one_line(api, agent, valkey, caplog, monkeypatch):
    clock = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: clock)
    client, server = api(agent), valkey()
    server.kill()
    client.get("/api/tickets/")
    server.start()
    for _ in range(4):
        clock += RECOVERY_SECONDS / 2
        client.get("/api/tickets/")

    assert messages(caplog)[1:] == ["Redis available again"]


def test_a_redis_that_takes_nothing_is_one_line_of_readable_characters(api, agent, valkey, caplog):
    client, server = api(agent), valkey()
    server.client.config_set("maxmemory", 1)

    statuses = {client.get("/api/tickets/").status_code for _ in range(3)}

    (line,) = messages(caplog)
    assert statuses == {200}
    assert line.isprintable()
    assert "maxmemory" in line
