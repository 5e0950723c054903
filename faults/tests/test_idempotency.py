"""F23: requests with one Idempotency-Key, many at once, and again after the web server was killed."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from uuid import uuid4

import httpx
import psycopg

from faults.program import until
from helpdesk.tickets.models import BELL

from .conftest import ROUNDS

PARALLEL_REQUESTS = 20
TICKETS = "SELECT id FROM tickets_ticket WHERE title = %s"
OUTBOX = """
    SELECT email.uuid::text, users_user.username FROM emails_email AS email
    JOIN users_user ON users_user.id = email.recipient_id
    JOIN tickets_ticketevent AS event ON event.id = email.event_id
    JOIN tickets_ticket AS ticket ON ticket.id = event.ticket_id WHERE ticket.title = %s
"""
AGENTS = "SELECT username FROM users_user WHERE role = 'agent' AND is_active"


def post(client, key):
    """Open a ticket whose title is its key; return the answer, or None when there was none."""
    with suppress(httpx.TransportError):
        body = {"title": key, "description": "D"}
        return client.post("/tickets/", json=body, headers={"Idempotency-Key": key})
    return None


def check_one_effect(world, key, answers):
    """Check that the answers with 201 are one ticket, the only one, of which every agent gets one e-mail."""
    until(world.is_settled, what="everything is settled")
    (body,) = {answer.content for answer in answers if answer.status_code == httpx.codes.CREATED}
    assert world.sql(TICKETS, key) == [(httpx.Response(200, content=body).json()["id"],)]
    outbox = dict(world.sql(OUTBOX, key))
    assert sorted(outbox.values()) == sorted(username for (username,) in world.sql(AGENTS))
    arrived = Counter(mail["id"].strip("<>").partition("@")[0] for mail in world.mails("accepted"))
    assert {uuid: arrived[uuid] for uuid in outbox} == dict.fromkeys(outbox, 1)


def test_f23_requests_at_once_with_one_key_make_one_ticket(world):
    key = uuid4().hex
    with world.client("customer_1") as customer, ThreadPoolExecutor(PARALLEL_REQUESTS) as pool:
        answers = list(pool.map(lambda _: post(customer, key), range(PARALLEL_REQUESTS)))

    assert {answer.status_code for answer in answers} <= {httpx.codes.CREATED, httpx.codes.CONFLICT}
    check_one_effect(world, key, answers)


def test_f23_a_request_whose_web_server_was_killed_after_the_commit_is_answered_when_it_is_repeated(world):
    for _ in range(ROUNDS):
        key = uuid4().hex
        with (
            world.client("customer_1") as customer,
            ThreadPoolExecutor() as pool,
            psycopg.connect(world.postgres.url, autocommit=True) as connection,
        ):
            connection.execute(f"LISTEN {BELL}")
            first = pool.submit(post, customer, key)
            for _bell in connection.notifies(stop_after=1):
                world.web.kill()
            answers = [answer for answer in [first.result()] if answer]
            world.web.start()
            answers.append(post(customer, key))

        assert answers[-1].headers["Idempotency-Replayed"] == "true"
        check_one_effect(world, key, answers)
