"""F16, F17: the SMTP server refuses, hangs or is away, and messages cannot be made."""

import signal
import time

import pytest

from faults.flow import flowing
from faults.history import History
from faults.program import until

from .conftest import SECONDS, SEED, check

FAILED = "SELECT FROM emails_attempt WHERE outcome = 'failed' AND id > %s"
LAST_ATTEMPT = "SELECT coalesce(max(id), 0) FROM emails_attempt"
MAILS_OF = """
    SELECT email.uuid::text, email.state, email.error FROM emails_email AS email
    JOIN users_user ON users_user.id = recipient_id WHERE username = %s AND event_id > %s
"""
OTHERS_PENDING = """
    SELECT FROM emails_email JOIN users_user ON users_user.id = recipient_id
    WHERE state = 'pending' AND username <> %s
"""
OVERDUE_SECONDS = 10
SWEEPS_SECONDS = 2.5


@pytest.mark.parametrize(
    "script", [{"data_reply": "451 Try again"}, {"holds": True}, {"hangs_up": True}], ids=["451", "hangs", "hangs up"]
)
def test_f16_what_the_smtp_server_does_not_take_arrives_later(world, flow, script):
    ((last,),) = world.sql(LAST_ATTEMPT)
    world.script_mail(script)
    until(lambda: world.sql(FAILED, last, rows=False), what="an attempt has failed")
    time.sleep(SECONDS)
    world.script_mail({})

    check(flow)


def test_f16_what_no_smtp_server_is_there_for_arrives_later(world, flow):
    ((last,),) = world.sql(LAST_ATTEMPT)
    world.mail.kill()
    until(lambda: world.sql(FAILED, last, rows=False), what="an attempt has failed")
    world.mail.start()

    check(flow)


def test_f16_an_address_that_is_refused_for_good_is_given_up_and_no_other_mail_is_late(world, flow):
    world.script_mail({"refused": {"customer_1@example.com": "550 Unknown"}})
    flow.wait_for_writes(10)
    flow.stop_writing()
    until(lambda: not world.sql(OTHERS_PENDING, "customer_1", rows=False), seconds=OVERDUE_SECONDS)

    flow.settle()
    refused = {uuid: state for uuid, state, _error in world.sql(MAILS_OF, "customer_1", flow.begin)}
    assert "bounced" in refused.values()
    History(flow).check(other_ends={uuid: state for uuid, state in refused.items() if state == "bounced"})


def test_f16_a_mail_that_takes_long_is_sent_once_although_sweeps_pass(world):
    with flowing(world, seed=SEED) as flow:
        flow.stop_writing()
        until(world.is_settled)
        ticket_id, before = flow.writers[0].tickets[0], len(world.mails("received"))
        world.script_mail({"holds": True})
        with world.client("agent_1") as agent:
            agent.post("/comments/", json={"ticket": ticket_id, "content": "Slowly"}).raise_for_status()
        until(lambda: len(world.mails("received")) > before, what="the mail is under way")
        time.sleep(SWEEPS_SECONDS)
        world.script_mail({})

        check(flow)


def test_f17_what_cannot_be_mailed_is_refused_or_given_up_with_its_reason_and_others_flow(world, flow):
    with world.client("customer_3") as customer, world.client("agent_1") as agent:
        title = customer.post("/tickets/", json={"title": "Pay\r\nBcc: all@example.com", "description": "D"})
        ticket = customer.post("/tickets/", json={"title": "🖨️ ñandú 打印机", "description": "D"}).json()
        long = agent.post("/comments/", json={"ticket": ticket["id"], "content": "ñ打🖨" * 3_333})
        flow.stop_writing()
        until(world.is_settled)
        # Nothing in the product takes a comment from under its e-mail.
        world.worker.signal(signal.SIGSTOP)
        poison = agent.post("/comments/", json={"ticket": ticket["id"], "content": "Poison"}).json()
        until(lambda: world.sql(MAILS_OF, "customer_3", flow.begin)[1:], what="its e-mail is owed")
        world.sql("DELETE FROM tickets_comment WHERE id = %s", poison["id"], rows=False)
        world.worker.signal(signal.SIGCONT)

    flow.settle()
    dead = [(uuid, error) for uuid, state, error in world.sql(MAILS_OF, "customer_3", flow.begin) if state == "dead"]
    assert (title.status_code, long.status_code) == (400, 201)
    assert title.json()["errors"][0]["pointer"] == "#/title"
    assert [error for _uuid, error in dead] == [
        "It cannot be rendered: DoesNotExist: Comment matching query does not exist."
    ]
    History(flow).check(other_ends={uuid: "dead" for uuid, _error in dead})
