"""F1, F2, F25: workers are killed between any two steps of theirs, or paused for longer than their lease."""

import signal

import psycopg

from faults.program import until
from faults.world import WORKER_PROCESSES

from .conftest import ROUNDS, check

# What a worker reads between its claim and the SMTP server.
HOLD_UP = "LOCK TABLE subscriptions_notificationpreference IN ACCESS EXCLUSIVE MODE"
HELD_UP = """
    SELECT FROM pg_stat_activity, emails_email
    WHERE wait_event_type = 'Lock' AND query LIKE '%%subscriptions_notificationpreference%%' AND query NOT LIKE 'LOCK%%'
        AND pg_stat_activity.state = 'active' AND emails_email.id = %s AND lease_until > now()
"""
WAITING_EMAIL = "SELECT id, uuid::text FROM emails_email WHERE state = 'pending' ORDER BY id LIMIT 1"
OPEN_ATTEMPTS = "SELECT FROM emails_attempt WHERE outcome = 'pending'"


def test_f1_workers_that_are_killed_again_and_again_lose_nothing(world, flow):
    for _ in range(ROUNDS):
        flow.wait_for_writes(5)
        world.worker.restart()

    check(flow, duplicates=ROUNDS * WORKER_PROCESSES)


def test_f2_a_worker_killed_between_the_servers_250_and_its_note_sends_the_same_message_again(world, flow):
    world.script_mail({"holds": True})
    # What came before may have been accepted at once.
    before = len(world.mails("received"))
    until(lambda: len(world.mails("received")) > before, what="a mail is under way")
    held = world.mails("received")[before]["id"]

    # The note needs the row, which somebody else holds when the server has accepted.
    with psycopg.connect(world.postgres.url) as other:
        other.execute("SELECT FROM emails_email WHERE state = 'pending' FOR UPDATE")
        world.script_mail({})
        until(lambda: arrivals_of(world, held) == 1, what="the mail is accepted")
        world.worker.kill()
    world.worker.start()

    check(flow, duplicates=WORKER_PROCESSES)
    assert arrivals_of(world, held) == 2


def test_f25_a_worker_that_was_paused_for_longer_than_its_lease_sends_nothing_twice(world, flow):
    flow.stop_writing()
    until(world.is_settled)
    world.worker.signal(signal.SIGSTOP)
    with world.client("agent_1") as agent:
        agent.post("/comments/", json={"ticket": flow.writers[0].tickets[0], "content": "Hello"}).raise_for_status()
    until(lambda: world.sql(WAITING_EMAIL), what="an e-mail is enqueued")
    ((email_id, uuid),) = world.sql(WAITING_EMAIL)
    with psycopg.connect(world.postgres.url) as other:
        other.execute(HOLD_UP)
        world.worker.signal(signal.SIGCONT)
        until(lambda: world.sql(HELD_UP, email_id, rows=False), what="a worker has claimed it")
        world.worker.signal(signal.SIGSTOP)
    world.second_worker.start()
    until(lambda: any(uuid in mail["id"] for mail in world.mails("accepted")), what="another worker sends it")

    world.worker.signal(signal.SIGCONT)
    # It ends what it has begun.
    world.worker.stop()

    check(flow)
    assert not world.sql(OPEN_ATTEMPTS, rows=False)
    world.second_worker.stop()


def arrivals_of(world, message_id):
    return [mail["id"] for mail in world.mails("accepted")].count(message_id)
