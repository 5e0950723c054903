"""F6: PostgreSQL is killed, or cuts its connections."""

from faults.world import WORKER_PROCESSES

from .conftest import ROUNDS, check

CUT = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


def statuses_of_refusals(flow):
    return {write.status for write in flow.writes if not write.is_acknowledged}


def test_f6_everything_outlives_a_postgresql_that_is_killed(world, flow):
    for _ in range(ROUNDS):
        world.postgres.kill()
        world.postgres.start()
        flow.wait_for_writes(5)

    # A lease may end while nobody can note that its message was accepted.
    check(flow, duplicates=ROUNDS * WORKER_PROCESSES)
    assert statuses_of_refusals(flow) <= {503}
    assert all(program.is_running() for program in world.programs)


def test_f6_everything_outlives_cut_connections(world, flow):
    for _ in range(ROUNDS):
        world.sql(CUT)
        flow.wait_for_writes(5)

    check(flow)
    assert statuses_of_refusals(flow) <= {503}
