"""Redis killed or hung, servers stopped, clients that do not read: every client receives each event once."""

import socket

import pytest

from compose.embedded.ports import LOOPBACK
from helpdesk.core.tests.valkey import Valkey
from helpdesk.notifications.live import hub
from helpdesk.notifications.models import Notification, Stream
from helpdesk.testing import wait_until

from .conftest import SHORT_TIMES, connect_stalled, is_cut, running_server, seqs

pytestmark = pytest.mark.xdist_group("live faults")


@pytest.fixture(scope="module")
def channel_valkey(tmp_path_factory):
    """Return a Valkey for the channel layer alone."""
    server = Valkey(tmp_path_factory.mktemp("valkey"), "--save", "")
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def server(django_db_setup, django_db_blocker, tmp_path_factory, channel_valkey):
    """Return the host of a Daphne that uses this Valkey."""
    log = tmp_path_factory.mktemp("daphne") / "log"
    with django_db_blocker.unblock(), running_server(log, CHANNEL_REDIS_URL=channel_valkey.url) as (_, host):
        yield host


@pytest.fixture
def fragile(channel_valkey, settings):
    """Return the Valkey, through which the announcer publishes, too."""
    layer = settings.CHANNEL_LAYERS["default"]
    hosts = [layer["CONFIG"]["hosts"][0] | {"address": channel_valkey.url}]
    settings.CHANNEL_LAYERS = {"default": layer | {"CONFIG": layer["CONFIG"] | {"hosts": hosts}}}
    return channel_valkey


def test_clients_receive_everything_after_valkey_was_killed(fragile, subscribe, add_comments, customer):
    client = subscribe(customer)

    fragile.kill()
    add_comments()
    newcomer = subscribe(customer)
    fragile.start()

    assert client.receive()["seq"] == 1
    add_comments()
    assert [client.receive()["seq"], newcomer.receive()["seq"]] == [2, 2]


def test_a_hung_valkey_delays_nothing(fragile, subscribe, add_comments, customer):
    client = subscribe(customer)

    fragile.hang()
    try:
        add_comments(10)
    finally:
        fragile.go_on()

    assert client.receive_seqs(10) == list(range(1, 11))


def test_a_server_that_stops_closes_with_1012(tmp_path, connect_client, announcer, customer):
    with running_server(tmp_path / "log", settings_module=SHORT_TIMES) as (process, host):
        client = connect_client(customer, host=host, v2=True)
        # Daphne sends no close frames if any client has connected within the last second.
        for _ in range(4):
            client.receive_until("ping")
            client.send({"type": "pong"})

        process.terminate()

        assert client.receive_close()[1] == 1012


def test_connections_are_counted_and_those_of_a_killed_server_expire(
    tmp_path, subscribe, customer, agent, server_with_short_times
):
    def count():
        return sum(report.connections for report in hub.valid_reports())

    with running_server(tmp_path / "log", settings_module=SHORT_TIMES) as (process, host):
        subscribe(customer, host=host)
        leaving = subscribe(agent, host=host)
        elsewhere = subscribe(agent, host=server_with_short_times)
        wait_until(lambda: count() == 3)

        leaving.close()
        wait_until(lambda: count() == 2)
        process.kill()
        wait_until(lambda: count() == 1)

        elsewhere.close()
        wait_until(lambda: count() == 0)


def test_a_cache_that_hangs_delays_no_client(tmp_path, fragile, subscribe, add_comments, customer):
    with socket.create_server((LOOPBACK, 0)) as hung:
        redis_url = f"redis://{LOOPBACK}:{hung.getsockname()[1]}/0"
        with running_server(tmp_path / "log", REDIS_URL=redis_url, CHANNEL_REDIS_URL=fragile.url) as (_, host):
            client = subscribe(customer, host=host)

            add_comments()

            assert client.receive()["seq"] == 1


def test_a_client_that_does_not_read_is_cut_and_resumes_completely(
    server_with_short_times, connect_client, add_comments, customer
):
    add_comments(1, "x" * 10_000)
    frame = Notification.objects.get(user=customer).frame
    Notification.objects.bulk_create(Notification(user=customer, seq=seq, frame=frame) for seq in range(2, 1_001))
    Stream.objects.filter(user=customer).update(last_seq=1_000)
    slow = connect_stalled(server_with_short_times, customer)

    wait_until(lambda: is_cut(slow))

    frames = connect_client(customer, since=0).receive_until("resumed")
    assert seqs(frames) == list(range(1, 1_001))
