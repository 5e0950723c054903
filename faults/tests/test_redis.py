"""F3, F4, F5: Redis is killed, emptied, hung, or not there from the beginning."""

import signal
import time

import httpx
import pytest
import redis

from faults.flow import flowing
from faults.program import until
from faults.world import WORKER_PROCESSES

from .conftest import ROUNDS, SECONDS, SEED, check

LONGEST_WRITE_SECONDS = 0.5
DELIVERED_SECONDS = 30


def all_answered(flow):
    return [write for write in flow.writes if not write.is_acknowledged] == []


def kill(world, flow):
    world.valkey.kill()
    flow.wait_for_writes(5)
    world.valkey.start()


def empty(world, flow, *, times=1):
    # So that there are tasks in it.
    world.worker.signal(signal.SIGSTOP)
    for _ in range(times):
        flow.wait_for_writes(5)
        redis.Redis(port=world.valkey_port).flushall()
    world.worker.signal(signal.SIGCONT)


@pytest.mark.parametrize("outage", [kill, empty])
def test_f3_soon_after_an_outage_of_redis_all_is_delivered(world, flow, outage):
    outage(world, flow)
    ended = time.monotonic()

    flow.settle()
    assert time.monotonic() - ended < DELIVERED_SECONDS


def test_f3_a_redis_that_is_killed_takes_nothing_with_it(world, flow):
    for _ in range(ROUNDS):
        kill(world, flow)
        flow.wait_for_writes(5)

    check(flow)
    assert all_answered(flow)


def test_f3_a_redis_that_is_emptied_takes_nothing_with_it(world, flow):
    empty(world, flow, times=ROUNDS)

    # What was under way when its worker was frozen for longer than the lease is sent again.
    check(flow, duplicates=WORKER_PROCESSES)
    assert all_answered(flow)


def test_f4_a_redis_that_hangs_slows_no_write_and_loses_nothing(world, flow):
    began = len(flow.writes)

    world.valkey.signal(signal.SIGSTOP)
    time.sleep(SECONDS)
    flow.stop_writing()
    slowest = max(write.seconds for write in flow.writes[began:])
    world.valkey.signal(signal.SIGCONT)

    check(flow)
    assert all_answered(flow)
    assert slowest < LONGEST_WRITE_SECONDS


def test_f5_everything_starts_without_redis_and_recovers_by_itself(world):
    for program in world.programs:
        program.kill()
    for program in world.programs[1:]:
        program.begin()
    until(world.web_answers, what="the web server answers")
    readiness = httpx.get(f"{world.site}/readyz")

    with flowing(world, seed=SEED) as flow:
        world.valkey.start()
        check(flow)

    assert (readiness.status_code, readiness.json()["status"]) == (200, "degraded")
    assert all_answered(flow)
