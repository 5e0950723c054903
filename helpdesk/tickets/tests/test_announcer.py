"""Every committed event is announced once and in order, whatever fails meanwhile."""

import threading
import time
from contextlib import contextmanager

import psycopg
import pytest
from django.db import connection
from django_redis import get_redis_connection

from helpdesk.core.redis import RedisError, circuit
from helpdesk.testing import wait_until
from helpdesk.tickets import actions, announcer
from helpdesk.tickets.actions import Origin
from helpdesk.tickets.announcer import Announcer, becomes_leader
from helpdesk.tickets.list_cache import AGENTS
from helpdesk.tickets.models import EventSource, TicketEvent
from helpdesk.tickets.signals import ticket_events_committed
from helpdesk.tickets.tests.factories import TicketFactory
from helpdesk.users.actions import update_profile


@contextmanager
def listening(receiver):
    ticket_events_committed.connect(receiver)
    try:
        yield
    finally:
        ticket_events_committed.disconnect(receiver)


def comment_on(ticket, content="Hello"):
    actions.add_comment(Origin(ticket.created_by, EventSource.API), ticket.pk, content=content)


@pytest.mark.django_db
def test_events_are_announced_once_in_order_and_marked(ticket, monkeypatch):
    monkeypatch.setattr(announcer, "BATCH_SIZE", 2)
    for _ in range(5):
        comment_on(ticket)
    heard = []

    def hear(events, **kwargs):
        heard.extend(event.pk for event in events)

    with listening(hear):
        Announcer().announce_all()
        Announcer().announce_all()

    assert heard == sorted(TicketEvent.objects.values_list("pk", flat=True))
    assert not TicketEvent.objects.unannounced().exists()


@pytest.mark.django_db
def test_an_event_whose_receiver_fails_waits_for_the_next_try_and_keeps_no_other(ticket, caplog, monkeypatch):
    for _ in range(3):
        comment_on(ticket)
    poison = TicketEvent.objects.order_by("pk")[1].pk
    heard = []

    def hear(events, **kwargs):
        if poison in {event.pk for event in events}:
            raise ValueError("cannot read this")
        heard.extend(event.pk for event in events)

    worker = Announcer()
    with listening(hear):
        worker.announce_all()
        worker.announce_all()

    assert set(heard) == set(TicketEvent.objects.exclude(pk=poison).values_list("pk", flat=True))
    assert list(TicketEvent.objects.unannounced().values_list("pk", flat=True)) == [poison]
    assert caplog.text.count("Not announced") == 2  # together with the others, and alone

    poison = None
    monkeypatch.setattr(time, "monotonic", lambda: worker.retry_at)
    with listening(hear):
        worker.announce_all()

    assert not TicketEvent.objects.unannounced().exists()


@pytest.mark.django_db
def test_what_a_receiver_wrote_is_rolled_back_with_a_failed_announcement(ticket):
    comment_on(ticket)

    def write_and_fail(**kwargs):
        TicketFactory(title="Written by a receiver")
        raise ValueError

    with listening(write_and_fail):
        Announcer().announce_all()

    assert not type(ticket).objects.filter(title="Written by a receiver").exists()


@pytest.mark.django_db
def test_lists_are_invalidated_when_redis_is_back(ticket, monkeypatch):
    invalidated, redis_is_down = [], True

    def invalidate(*scopes):
        if redis_is_down:
            raise RedisError
        invalidated.append(set(scopes))

    monkeypatch.setattr(announcer, "invalidate", invalidate)
    worker = Announcer()
    comment_on(ticket)
    worker.announce_all()
    worker.invalidate_lists()
    redis_is_down = False

    worker.invalidate_lists()
    worker.invalidate_lists()

    assert invalidated == [{AGENTS, f"tickets:customer:{ticket.created_by_id}"}]


@pytest.mark.django_db(transaction=True)
def test_of_two_announcers_one_leads():
    with psycopg.connect(**connection.get_connection_params()) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [announcer.LEADER_LOCK])
        assert not becomes_leader()
        other.execute("SELECT pg_advisory_unlock(%s)", [announcer.LEADER_LOCK])

        assert becomes_leader()

    connection.close()


@contextmanager
def running(worker):
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield worker
    finally:
        worker.stop()
        thread.join(timeout=10)


@pytest.fixture
def running_announcer():
    with running(Announcer()) as worker:
        yield worker


def kill_idle_announcer():
    """End the connection that holds the lock, while it waits for the bell."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with connection.cursor() as cursor:
            cursor.execute(
                """
                SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_stat_activity USING (pid)
                WHERE datname = current_database() AND locktype = 'advisory' AND state = 'idle'
                    AND clock_timestamp() - state_change > interval '0.2 s'
                """,
            )
            if cursor.fetchall():
                return
    pytest.fail("no announcer waits")


@pytest.mark.django_db(transaction=True)
def test_a_commit_wakes_the_announcer_also_after_its_connection_was_killed(customer, running_announcer):
    ticket = TicketFactory(created_by=customer)
    announced = threading.Event()

    def hear(**kwargs):
        announced.set()

    with listening(hear):
        comment_on(ticket)
        assert announced.wait(timeout=10)
        announced.clear()
        kill_idle_announcer()
        comment_on(ticket)

        assert announced.wait(timeout=10)


def creator_names(api, user):
    return [item["created_by"]["name"] for item in api(user).get("/api/tickets/").json()["results"]]


def rename_while_hung(server, api, user):
    server.hang()
    # From now on nobody in this process asks: no command waits in a buffer for the server to go on.
    api(user).get("/api/tickets/")
    update_profile(user, changes={"name": "Alice Cooper"})
    server.go_on()
    circuit.close()


@pytest.mark.django_db(transaction=True)
def test_a_rename_while_redis_hangs_shows_when_it_is_back(api, agent, ticket, valkey):
    server = valkey()
    with running(Announcer()):
        wait_until(lambda: server.client.exists("helpdesk:version:users"))  # it leads
        creator_names(api, agent)

        rename_while_hung(server, api, ticket.created_by)

        wait_until(lambda: creator_names(api, agent) == ["Alice Cooper"])


@pytest.mark.django_db(transaction=True)
def test_a_rename_that_no_announcer_was_notified_of_shows_once_one_leads(api, agent, ticket, valkey):
    server = valkey()
    creator_names(api, agent)
    rename_while_hung(server, api, ticket.created_by)
    assert creator_names(api, agent) != ["Alice Cooper"]

    with running(Announcer()):
        wait_until(lambda: creator_names(api, agent) == ["Alice Cooper"])


@pytest.mark.django_db(transaction=True)
def test_all_lists_are_invalidated_when_the_announcer_listens_again(running_announcer):
    client = get_redis_connection()
    wait_until(lambda: client.exists("helpdesk:version:users"))
    version = client.get("helpdesk:version:users")

    kill_idle_announcer()

    wait_until(lambda: client.get("helpdesk:version:users") != version)


@pytest.mark.django_db(transaction=True)
def test_notifications_that_come_together_are_all_read():
    assert becomes_leader()
    with psycopg.connect(**connection.get_connection_params(), autocommit=True) as other:
        other.execute("SELECT pg_notify('ticket_events', scope) FROM unnest(ARRAY['', 'a', 'b']) AS scope")

    assert announcer.wait_for_notifications() == {"a", "b"}

    connection.close()
