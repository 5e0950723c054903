"""Production in real containers: docker-compose.production.yml, built and started as an operator does it."""

import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import pytest

from compose.tests.containers import docker
from compose.tests.load import answered, loaded, new_ticket, wait_for_answers
from faults.history import History
from faults.workload import running_workload
from helpdesk.testing import wait_until

pytestmark = pytest.mark.containers

SEED = 1
DELIVERED_SECONDS = 120
STALLED_UPLOADS = 20
UPLOAD = (
    "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
)
LARGE_UPLOADS, LARGE = 100, 1_000_000
OTHER_ACCOUNTS = dict.fromkeys(("postgres", "backups", "redis"), "999:999")
TABLES = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
SUM_OF_TABLE = """
    SELECT '{0}', count(*), md5(coalesce(string_agg(line::text, E'\\n' ORDER BY line::text), '')) FROM {0} AS line
"""
# A restore gives every stream of notifications a new epoch.
OTHER_AFTER_A_RESTORE = {"notifications_stream"}


def sums_of_tables(stack):
    tables = sorted({name for (name,) in stack.sql(TABLES)} - OTHER_AFTER_A_RESTORE)
    return stack.sql(" UNION ALL ".join(SUM_OF_TABLE.format(name) for name in tables))


def upload_that_stalls(stack, path, sent=100):
    """Open a TLS connection and send the beginning of a body, in bytes, whose end never comes."""
    connection = stack.tls.wrap_socket(
        socket.create_connection(("localhost", stack.port)), server_hostname="localhost"
    )
    connection.sendall(UPLOAD.format(path=path, length=sent + 1).encode() + b"[" * sent)
    return connection


def seconds_until_answered(client, path):
    began_at = time.monotonic()
    assert client.get(path).status_code == httpx.codes.OK
    return time.monotonic() - began_at


def test_every_container_is_bounded_and_may_do_little(production):
    for service in (*production.services, "backups"):
        for container in production.state(service):
            host, user = container["HostConfig"], container["Config"]["User"]
            assert user == OTHER_ACCOUNTS.get(service, "10001:10001"), service
            assert host["ReadonlyRootfs"], service
            assert host["CapDrop"] == ["ALL"], service
            assert "no-new-privileges:true" in host["SecurityOpt"], service
            assert host["Memory"] > 0, service
            assert host["PidsLimit"] > 0, service


def test_what_is_not_published_is_not_reached(production):
    published = {
        service: [port for container in production.state(service) for port in container["HostConfig"]["PortBindings"]]
        for service in production.services
    }

    assert {service: ports for service, ports in published.items() if ports} == {
        "proxy": ["8080/tcp", "8443/tcp"],
        "flower": ["5555/tcp"],
    }


def test_all_replicas_answer(production):
    replicas = production.containers("web")
    assert len(replicas) == 2

    with production.client("agent_1") as agent:
        for _ in range(20):
            agent.get("/tickets/")

    assert [replica for replica in replicas if '"/api/tickets/"' not in docker("logs", replica)] == []


@pytest.mark.parametrize(
    "service", ["web", "websocket", "celeryworker", "celerybeat", "announcer", "redis", "postgres", "proxy", "flower"]
)
def test_a_restart_of_each_container_loses_nothing(production, service):
    with running_workload(production, seed=SEED, repeats=True) as workload:
        production.compose("restart", "--timeout=60", service)
        production.wait_until_healthy(service)
        workload.wait_for_writes(3)

        workload.wait_until_delivered(seconds=DELIVERED_SECONDS)
        History(workload).check()


def test_web_is_replaced_under_load_without_a_failed_request(production):
    before = set(production.containers("web"))
    with loaded(production) as loads:
        wait_for_answers(loads)
        production.run("compose/production/replace", "web")
        wait_for_answers(loads)

    assert set(answered(loads)) == {200, 201}, answered(loads)
    assert before.isdisjoint(production.containers("web"))
    assert len(production.containers("web")) == len(before)


def test_large_uploads_that_stall_leave_the_proxy_its_memory(production):
    (before,) = production.state("proxy")
    with ExitStack() as stack, ThreadPoolExecutor(STALLED_UPLOADS) as pool:
        uploads = range(LARGE_UPLOADS)
        for connection in pool.map(lambda _: upload_that_stalls(production, "/api/auth/token/", LARGE), uploads):
            stack.enter_context(connection)
        assert production.web_answers()

    (after,) = production.state("proxy")
    assert after["State"]["StartedAt"] == before["State"]["StartedAt"]
    assert after["RestartCount"] == 0


@pytest.mark.parametrize("path", ["/api/auth/token/", "/api/tickets/", "/admin/login/"])
def test_uploads_that_stall_keep_nobody_waiting(production, path):
    with ExitStack() as stack, ThreadPoolExecutor(STALLED_UPLOADS) as pool:
        for connection in pool.map(lambda _: upload_that_stalls(production, path), range(STALLED_UPLOADS)):
            stack.enter_context(connection)
        site = stack.enter_context(httpx.Client(base_url=production.url, verify=production.tls))
        agent = stack.enter_context(production.client("agent_1"))

        slowest = max(
            seconds_until_answered(*one) for _ in range(5) for one in ((site, "/livez"), (agent, "/tickets/"))
        )

    assert slowest < 1


def test_what_a_backup_holds_comes_back_after_the_database_is_destroyed(production):
    new_ticket(production)
    wait_until(production.is_idle, what="everything is settled")
    writers = ["web", "websocket", "celeryworker", "celerybeat", "announcer"]
    production.compose("stop", "--timeout=60", *writers)
    codes = {
        container["Name"]: container["State"]["ExitCode"] for name in writers for container in production.state(name)
    }
    before = sums_of_tables(production)
    made = production.execute("postgres", "backup")
    name = re.search(r"backup_\S+\.dump", made)[0]

    production.compose("rm", "--stop", "--force", "postgres")
    docker("volume", "rm", f"{production.project}_production_postgres_data")
    production.compose("up", "--detach", *production.scale, "postgres")
    production.wait_until_healthy("postgres")
    production.execute("postgres", "restore", name)
    restored = sums_of_tables(production)
    production.execute("redis", "redis-cli", "flushall")
    production.compose("up", "--detach", *production.scale)
    production.wait_until_idle()

    assert restored == before
    assert set(codes.values()) == {0}, codes
    with production.client("agent_1") as agent:
        assert agent.get("/tickets/").json()["count"] > 0
