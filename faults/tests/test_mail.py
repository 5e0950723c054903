"""F16, F17: the SMTP server refuses, hangs or is down, and messages cannot be rendered."""

import re
import signal
from collections import defaultdict
from itertools import pairwise

import pytest

from faults.history import History
from faults.settings import EMAIL_TIMEOUT
from faults.workload import running_workload
from helpdesk.testing import wait_until

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
FAILURES = max(2, round(SECONDS))
SWEPT = re.compile(r"send_due_emails\[[^]]+\] succeeded")


@pytest.mark.parametrize(
    "script", [{"data_reply": "451 Try again"}, {"holds": True}, {"hangs_up": True}], ids=["451", "hangs", "hangs up"]
)
def test_f16_mail_that_the_smtp_server_does_not_accept_arrives_later(stack, workload, script):
    ((last,),) = stack.sql(LAST_ATTEMPT)
    stack.script_mail(script)
    wait_until(lambda: stack.sql(FAILED, last, rows=False) >= FAILURES, what="attempts have failed")
    stack.script_mail({})

    check(workload)


def test_f16_mail_arrives_after_an_outage_of_the_smtp_server(stack, workload):
    ((last,),) = stack.sql(LAST_ATTEMPT)
    stack.mail.kill()
    wait_until(lambda: stack.sql(FAILED, last, rows=False), what="an attempt has failed")
    stack.mail.start()

    check(workload)


def test_f16_mail_to_an_address_that_is_refused_bounces_and_no_other_mail_is_late(stack, workload):
    stack.script_mail({"refused": {"customer_1@example.com": "550 Unknown"}})
    workload.wait_for_writes(10)
    workload.stop_writing()
    wait_until(lambda: not stack.sql(OTHERS_PENDING, "customer_1", rows=False), seconds=OVERDUE_SECONDS)

    workload.wait_until_delivered()
    refused = {uuid: state for uuid, state, _error in stack.sql(MAILS_OF, "customer_1", workload.last_event_before)}
    assert "bounced" in refused.values()
    History(workload).check(other_states={uuid: state for uuid, state in refused.items() if state == "bounced"})


def test_f16_a_mail_that_takes_long_is_sent_once_during_sweeps(stack):
    with running_workload(stack, seed=SEED) as workload:
        workload.stop_writing()
        wait_until(stack.is_idle)
        ticket_id, before = workload.writers[0].tickets[0], len(stack.mails("received"))
        stack.script_mail({"holds": True})
        with stack.client("agent_1") as agent:
            agent.post("/comments/", json={"ticket": ticket_id, "content": "Slowly"}).raise_for_status()
        wait_until(lambda: len(stack.mails("received")) > before, what="the mail is under way")
        goal = sweeps(stack) + 2
        wait_until(lambda: sweeps(stack) >= goal, what="sweeps pass")
        stack.script_mail({})

        assert_sent_by_one_worker_at_a_time(stack.mails("received")[before:])
        check(workload)


def assert_sent_by_one_worker_at_a_time(mails):
    """An attempt that is not answered lasts for EMAIL_TIMEOUT seconds; the next one begins after it."""
    attempts = defaultdict(list)
    for mail in mails:
        attempts[mail["id"]].append(mail["at"])
    pauses = [later - earlier for times in attempts.values() for earlier, later in pairwise(times)]
    assert all(pause >= EMAIL_TIMEOUT for pause in pauses), f"sent by two workers at a time: {pauses}"


def test_f17_what_cannot_be_mailed_is_refused_or_dead_with_its_reason_and_other_mail_is_sent(stack, workload):
    with stack.client("customer_3") as customer, stack.client("agent_1") as agent:
        title = customer.post("/tickets/", json={"title": "Pay\r\nBcc: all@example.com", "description": "D"})
        ticket = customer.post("/tickets/", json={"title": "🖨️ ñandú 打印机", "description": "D"}).json()
        long = agent.post("/comments/", json={"ticket": ticket["id"], "content": "ñ打🖨" * 3_333})
        workload.stop_writing()
        wait_until(stack.is_idle)
        # Nothing in the product deletes a comment whose e-mail is pending.
        stack.worker.signal(signal.SIGSTOP)
        poison = agent.post("/comments/", json={"ticket": ticket["id"], "content": "Poison"}).json()
        wait_until(
            lambda: stack.sql(MAILS_OF, "customer_3", workload.last_event_before)[1:], what="its e-mail is enqueued"
        )
        stack.sql("DELETE FROM tickets_comment WHERE id = %s", poison["id"], rows=False)
        stack.worker.signal(signal.SIGCONT)

    workload.wait_until_delivered()
    dead = [
        (uuid, error)
        for uuid, state, error in stack.sql(MAILS_OF, "customer_3", workload.last_event_before)
        if state == "dead"
    ]
    assert (title.status_code, long.status_code) == (400, 201)
    assert title.json()["errors"][0]["pointer"] == "#/title"
    assert [error for _uuid, error in dead] == [
        "It cannot be rendered: DoesNotExist: Comment matching query does not exist."
    ]
    History(workload).check(other_states={uuid: "dead" for uuid, _error in dead})


def sweeps(stack):
    """Return how many sweeps have been finished since the start of the worker that does them."""
    return len(SWEPT.findall(stack.account_worker.output()))
