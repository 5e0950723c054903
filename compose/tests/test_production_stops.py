"""F8 in production: a process that is asked to stop ends what it does, and web servers are replaced without a failure."""

import os
import signal
import threading

import psycopg
import pytest

from compose.tests.load import answered, loaded, new_ticket, wait_for_answers
from faults.history import History
from faults.workload import running_workload
from helpdesk.testing import wait_until

SEED = 1
DELIVERED_SECONDS = 60
IS_WAITING = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%%tickets_ticket%%'"

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("production")]


def test_web_servers_are_replaced_under_load_without_a_failed_request(production):
    with loaded(production) as loads:
        for web in production.webs:
            wait_for_answers(loads)
            web.stop()
            wait_for_answers(loads)
            web.start()
        wait_for_answers(loads)

    assert set(answered(loads)) == {200, 201}, answered(loads)
    assert [web.process.returncode for web in production.webs] == [None, None]


def test_a_request_in_flight_is_answered_and_one_that_comes_meanwhile_waits_for_the_next_server(production):
    ticket = new_ticket(production)
    statuses = {}

    def ask(name, *, priority):
        with production.client("agent_1") as agent:
            statuses[name] = agent.patch(f"/tickets/{ticket}/", json={"priority": priority}).status_code

    in_flight = threading.Thread(target=ask, args=["in flight"], kwargs={"priority": "urgent"})
    with psycopg.connect(production.postgres.url) as other:
        other.execute("SELECT FROM tickets_ticket WHERE id = %s FOR UPDATE", [ticket])
        in_flight.start()
        wait_until(lambda: production.sql(IS_WAITING, rows=False), what="the request waits for the row")
        for web in production.webs:
            os.kill(web.pid, signal.SIGTERM)
        wait_until(lambda: all("Stopping worker" in web.output() for web in production.webs), what="they stop")
        meanwhile = threading.Thread(target=ask, args=["meanwhile"], kwargs={"priority": "low"})
        meanwhile.start()
    in_flight.join()
    for web in production.webs:
        web.wait()
    codes = [web.process.returncode for web in production.webs]
    for web in production.webs:
        web.start()
    meanwhile.join()

    assert (statuses, codes) == ({"in flight": 200, "meanwhile": 200}, [0, 0])


def test_f8_what_each_process_had_begun_is_done_and_sockets_resume(production):
    codes = {}
    with running_workload(production, seed=SEED, repeats=True) as workload:
        for program in production.product_programs:
            program.stop()
            codes[program.name] = program.process.returncode
            program.start()
            workload.wait_for_writes(3)

        workload.wait_until_delivered(seconds=DELIVERED_SECONDS)
        History(workload).check()

    assert set(codes.values()) == {0}, codes


def test_a_worker_sends_the_mail_that_it_has_begun(production):
    before = len(production.mails("received"))
    production.script_mail({"holds": True})
    new_ticket(production)
    wait_until(lambda: len(production.mails("received")) > before, what="a mail is under way")

    os.kill(production.worker.pid, signal.SIGTERM)
    wait_until(lambda: "Warm shutdown" in production.worker.output(), what="the worker stops")
    production.script_mail({})
    production.worker.wait()
    code = production.worker.process.returncode
    production.worker.start()
    wait_until(production.is_idle, seconds=DELIVERED_SECONDS, what="everything is sent")

    ids = [mail["id"] for mail in production.mails("accepted")]
    assert code == 0
    assert len(ids) == len(set(ids))
