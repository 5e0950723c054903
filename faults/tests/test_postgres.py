"""F6: PostgreSQL is killed, or terminates its connections."""

from faults.stack import WORKER_PROCESSES

from .conftest import ROUNDS, check

TERMINATE = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


def failed_statuses(workload):
    return {write.status for write in workload.writes if not write.is_acknowledged}


def test_f6_every_process_survives_a_postgresql_that_is_killed(stack, workload):
    for _ in range(ROUNDS):
        stack.postgres.kill()
        stack.postgres.start()
        workload.wait_for_writes(5)

    # A lease may end while no worker can record that its message was accepted.
    check(workload, duplicates=ROUNDS * WORKER_PROCESSES)
    assert failed_statuses(workload) <= {503}
    assert all(program.is_running() for program in stack.programs)


def test_f6_every_process_survives_terminated_connections(stack, workload):
    for _ in range(ROUNDS):
        stack.sql(TERMINATE)
        workload.wait_for_writes(5)

    check(workload)
    assert failed_statuses(workload) <= {503}
