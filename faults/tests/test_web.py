"""F8, F9: the web server is stopped under load, or killed right after a commit."""

import psycopg

from faults.flow import flowing
from helpdesk.tickets.models import BELL

from .conftest import ROUNDS, SEED, check


def test_f8_what_a_stopping_web_server_does_not_answer_can_be_repeated(world):
    with flowing(world, seed=SEED, repeats=True) as flow:
        for _ in range(ROUNDS):
            flow.wait_for_writes(5)
            world.web.stop()
            world.web.start()
        flow.wait_for_writes(5)

        check(flow)

    assert {code for listener in flow.listeners for code in listener.closings} <= {1001, 1006, 1012}


def test_f9_what_was_committed_is_told_although_the_web_server_was_killed_at_that_moment(world, flow):
    with psycopg.connect(world.postgres.url, autocommit=True) as connection:
        connection.execute(f"LISTEN {BELL}")
        for _ in range(ROUNDS):
            for _bell in connection.notifies(stop_after=1):
                world.web.kill()
            world.web.start()
            flow.wait_for_writes(5)

    check(flow)
