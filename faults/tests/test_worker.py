"""F1, F2: workers are killed, between any two steps of theirs."""

import psycopg

from faults.program import until
from faults.world import WORKER_PROCESSES

from .conftest import ROUNDS, check


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


def arrivals_of(world, message_id):
    return [mail["id"] for mail in world.mails("accepted")].count(message_id)
