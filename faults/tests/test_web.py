"""F8, F9: the web server is stopped under load, or killed right after a commit."""

import psycopg

from faults.workload import running_workload
from helpdesk.tickets.models import NOTIFY_CHANNEL

from .conftest import ROUNDS, SEED, check


def test_f8_requests_that_a_stopping_web_server_does_not_answer_can_be_repeated(stack):
    with running_workload(stack, seed=SEED, repeats=True) as workload:
        for _ in range(ROUNDS):
            workload.wait_for_writes(5)
            stack.web.stop()
            stack.web.start()
        workload.wait_for_writes(5)

        check(workload)

    assert {code for client in workload.clients for code in client.close_codes} <= {1001, 1006, 1012}


def test_f9_an_event_is_delivered_when_the_web_server_is_killed_right_after_its_commit(stack, workload):
    with psycopg.connect(stack.postgres.url, autocommit=True) as connection:
        connection.execute(f"LISTEN {NOTIFY_CHANNEL}")
        for _ in range(ROUNDS):
            for _bell in connection.notifies(stop_after=1):
                stack.web.kill()
            stack.web.start()
            workload.wait_for_writes(5)

    check(workload)
