"""F3, F4, F5: Redis is killed, emptied, hung, or down from the beginning."""

import signal
import time

import httpx
import pytest
import redis

from faults.stack import WORKER_PROCESSES
from faults.workload import running_workload
from helpdesk.testing import wait_until

from .conftest import ROUNDS, SECONDS, SEED, check

LONGEST_WRITE_SECONDS = 0.5
DELIVERED_SECONDS = 30


def all_acknowledged(workload):
    return all(write.is_acknowledged for write in workload.writes)


def kill(stack, workload):
    stack.valkey.kill()
    workload.wait_for_writes(5)
    stack.valkey.start()


def empty(stack, workload, *, times=1):
    # So that tasks are queued in it.
    stack.worker.signal(signal.SIGSTOP)
    for _ in range(times):
        workload.wait_for_writes(5)
        redis.Redis(port=stack.valkey_port).flushall()
    stack.worker.signal(signal.SIGCONT)


@pytest.mark.parametrize("outage", [kill, empty])
def test_f3_soon_after_an_outage_of_redis_everything_is_delivered(stack, workload, outage):
    outage(stack, workload)
    ended = time.monotonic()

    workload.wait_until_delivered()
    assert time.monotonic() - ended < DELIVERED_SECONDS


def test_f3_killing_redis_loses_nothing(stack, workload):
    for _ in range(ROUNDS):
        kill(stack, workload)
        workload.wait_for_writes(5)

    check(workload)
    assert all_acknowledged(workload)


def test_f3_emptying_redis_loses_nothing(stack, workload):
    empty(stack, workload, times=ROUNDS)

    # A message in flight when its worker was suspended for longer than the lease is sent again.
    check(workload, duplicates=WORKER_PROCESSES)
    assert all_acknowledged(workload)


def test_f4_a_redis_that_hangs_slows_no_write_and_loses_nothing(stack, workload):
    began = len(workload.writes)

    stack.valkey.signal(signal.SIGSTOP)
    time.sleep(SECONDS)
    workload.stop_writing()
    slowest = max(write.seconds for write in workload.writes[began:])
    stack.valkey.signal(signal.SIGCONT)

    check(workload)
    assert all_acknowledged(workload)
    assert slowest < LONGEST_WRITE_SECONDS


def test_f5_everything_starts_without_redis_and_recovers_by_itself(stack):
    for program in stack.programs:
        program.kill()
    for program in stack.programs[1:]:
        program.launch()
    wait_until(stack.web_answers, what="the web server answers")
    readiness = httpx.get(f"{stack.url}/readyz")

    with running_workload(stack, seed=SEED) as workload:
        stack.valkey.start()
        check(workload)

    assert (readiness.status_code, readiness.json()["status"]) == (200, "degraded")
    assert all_acknowledged(workload)
