"""F1, F2, F25: workers are killed between any two steps, or suspended for longer than their lease."""

import signal

import psycopg

from faults.stack import WORKER_PROCESSES
from helpdesk.testing import wait_until

from .conftest import ROUNDS, check

# A worker reads this table between its claim and the SMTP server.
LOCK_PREFERENCES = "LOCK TABLE subscriptions_notificationpreference IN ACCESS EXCLUSIVE MODE"
WAITING_FOR_PREFERENCES = """
    SELECT FROM pg_stat_activity, emails_email
    WHERE wait_event_type = 'Lock' AND query LIKE '%%subscriptions_notificationpreference%%' AND query NOT LIKE 'LOCK%%'
        AND pg_stat_activity.state = 'active' AND emails_email.id = %s AND lease_until > now()
"""
WAITING_EMAIL = "SELECT id, uuid::text FROM emails_email WHERE state = 'pending' ORDER BY id LIMIT 1"
END_MARKING = """
    SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE wait_event_type = 'Lock' AND query LIKE '%SET state = ''sent''%'
"""
OPEN_ATTEMPTS = "SELECT FROM emails_attempt WHERE outcome = 'pending'"


def test_f1_workers_that_are_killed_repeatedly_lose_nothing(stack, workload):
    for _ in range(ROUNDS):
        workload.wait_for_writes(5)
        stack.worker.restart()

    check(workload, duplicates=ROUNDS * WORKER_PROCESSES)


def test_f2_a_worker_killed_between_the_servers_250_and_its_record_of_it_sends_the_same_message_again(stack, workload):
    stack.script_mail({"holds": True})
    # Earlier messages may have been accepted at once.
    before = len(stack.mails("received"))
    wait_until(lambda: len(stack.mails("received")) > before, what="a mail is being sent")
    held = stack.mails("received")[before]["id"]

    # The worker cannot record that the server has accepted while another transaction locks the row.
    with psycopg.connect(stack.postgres.url) as other:
        other.execute("SELECT FROM emails_email WHERE state = 'pending' FOR UPDATE")
        stack.script_mail({})
        wait_until(lambda: arrivals_of(stack, held) == 1, what="the mail is accepted")
        stack.worker.kill()
        # PostgreSQL finishes the statement of a client that is gone.
        other.execute(END_MARKING)
    stack.worker.start()

    check(workload, duplicates=WORKER_PROCESSES)
    assert arrivals_of(stack, held) == 2


def test_f25_a_worker_that_was_suspended_for_longer_than_its_lease_sends_nothing_twice(stack, workload):
    workload.stop_writing()
    wait_until(stack.is_idle)
    stack.worker.signal(signal.SIGSTOP)
    with stack.client("agent_1") as agent:
        agent.post(
            "/comments/", json={"ticket": workload.writers[0].tickets[0], "content": "Hello"}
        ).raise_for_status()
    wait_until(lambda: stack.sql(WAITING_EMAIL), what="an e-mail is enqueued")
    ((email_id, uuid),) = stack.sql(WAITING_EMAIL)
    with psycopg.connect(stack.postgres.url) as other:
        other.execute(LOCK_PREFERENCES)
        stack.worker.signal(signal.SIGCONT)
        wait_until(lambda: stack.sql(WAITING_FOR_PREFERENCES, email_id, rows=False), what="a worker has claimed it")
        stack.worker.signal(signal.SIGSTOP)
    stack.second_worker.start()
    wait_until(lambda: any(uuid in mail["id"] for mail in stack.mails("accepted")), what="another worker sends it")

    stack.worker.signal(signal.SIGCONT)
    # It finishes its task.
    stack.worker.stop()

    check(workload)
    assert not stack.sql(OPEN_ATTEMPTS, rows=False)
    stack.second_worker.stop()


def arrivals_of(stack, message_id):
    return [mail["id"] for mail in stack.mails("accepted")].count(message_id)
