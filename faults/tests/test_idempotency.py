"""F23: requests with the same Idempotency-Key, many at once, and again after the web server was killed."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from uuid import uuid4

import httpx
import psycopg

from helpdesk.testing import wait_until
from helpdesk.tickets.models import NOTIFY_CHANNEL

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
    """Open a ticket whose title is its key; return the response, or None without one."""
    with suppress(httpx.TransportError):
        body = {"title": key, "description": "D"}
        return client.post("/tickets/", json=body, headers={"Idempotency-Key": key})
    return None


def check_one_effect(stack, key, responses):
    """Check that all responses with 201 are the same ticket, the only one, and that every agent gets one e-mail."""
    wait_until(stack.is_idle, what="nothing is outstanding")
    (body,) = {response.content for response in responses if response.status_code == httpx.codes.CREATED}
    assert stack.sql(TICKETS, key) == [(httpx.Response(200, content=body).json()["id"],)]
    outbox = dict(stack.sql(OUTBOX, key))
    assert sorted(outbox.values()) == sorted(username for (username,) in stack.sql(AGENTS))
    arrived = Counter(mail["id"].strip("<>").partition("@")[0] for mail in stack.mails("accepted"))
    assert {uuid: arrived[uuid] for uuid in outbox} == dict.fromkeys(outbox, 1)


def test_f23_concurrent_requests_with_one_key_create_one_ticket(stack):
    key = uuid4().hex
    with stack.client("customer_1") as customer, ThreadPoolExecutor(PARALLEL_REQUESTS) as pool:
        responses = list(pool.map(lambda _: post(customer, key), range(PARALLEL_REQUESTS)))

    assert {response.status_code for response in responses} <= {httpx.codes.CREATED, httpx.codes.CONFLICT}
    check_one_effect(stack, key, responses)


def test_f23_a_repeated_request_is_answered_after_the_web_server_was_killed_at_the_commit(stack):
    for _ in range(ROUNDS):
        key = uuid4().hex
        with (
            stack.client("customer_1") as customer,
            ThreadPoolExecutor() as pool,
            psycopg.connect(stack.postgres.url, autocommit=True) as connection,
        ):
            connection.execute(f"LISTEN {NOTIFY_CHANNEL}")
            first = pool.submit(post, customer, key)
            for _bell in connection.notifies(stop_after=1):
                stack.web.kill()
            responses = [response for response in [first.result()] if response]
            stack.web.start()
            responses.append(post(customer, key))

        assert responses[-1].headers["Idempotency-Replayed"] == "true"
        check_one_effect(stack, key, responses)
