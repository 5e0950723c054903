"""Redis killed or hung, servers stopped, clients that do not read: whoever is back is told everything once."""

import signal
import socket
import subprocess

import pytest
import redis

from compose.embedded.ports import LOOPBACK, free_port
from compose.embedded.valkey import program
from helpdesk.notifications.live import open_sockets
from helpdesk.notifications.models import Notification, Stream
from helpdesk.testing import wait_until
from helpdesk.tickets import actions
from helpdesk.tickets.actions import Origin
from helpdesk.tickets.models import EventSource, TicketEvent
from helpdesk.users.actions import issue_tokens

from .conftest import SHORT_TIMES, is_cut, running_server, stalled


def comment(ticket, agent, content="Hello"):
    actions.add_comment(Origin(agent, EventSource.API), ticket.pk, content=content)


def announced():
    wait_until(lambda: not TicketEvent.objects.unannounced().exists())


class Valkey:
    """A server for the channel layer alone, always on the same port."""

    def __init__(self):
        self.port = free_port()
        self.url = f"redis://{LOOPBACK}:{self.port}/0"

    def start(self):
        options = ["--port", str(self.port), "--bind", LOOPBACK, "--save", "", "--loglevel", "warning"]
        self.process = subprocess.Popen([program(), *options], stdout=subprocess.DEVNULL)
        wait_until(self.answers)

    def answers(self):
        try:
            return redis.Redis.from_url(self.url).ping()
        except redis.ConnectionError:
            return False

    def kill(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def valkey():
    server = Valkey()
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def server(django_db_setup, django_db_blocker, tmp_path_factory, valkey):
    """Return the host of a Daphne that hears through this Valkey."""
    log = tmp_path_factory.mktemp("daphne") / "log"
    with django_db_blocker.unblock(), running_server(log, CHANNEL_REDIS_URL=valkey.url) as (_, host):
        yield host


@pytest.fixture
def fragile(valkey, settings):
    """Let also the announcer push through this Valkey."""
    layer = settings.CHANNEL_LAYERS["default"]
    hosts = [layer["CONFIG"]["hosts"][0] | {"address": valkey.url}]
    settings.CHANNEL_LAYERS = {"default": layer | {"CONFIG": layer["CONFIG"] | {"hosts": hosts}}}
    return valkey


def test_sockets_hear_again_after_valkey_was_killed(fragile, listening, announcing, customer, agent, ticket):
    client = listening(customer)

    fragile.kill()
    comment(ticket, agent)
    announced()
    newcomer = listening(customer)
    fragile.start()

    assert client.hear()["seq"] == 1
    comment(ticket, agent)
    assert [client.hear()["seq"], newcomer.hear()["seq"]] == [2, 2]


def test_a_hung_valkey_holds_up_nothing(fragile, listening, announcing, customer, agent, ticket):
    client = listening(customer)

    fragile.process.send_signal(signal.SIGSTOP)
    try:
        for _ in range(10):
            comment(ticket, agent)
        announced()
    finally:
        fragile.process.send_signal(signal.SIGCONT)

    assert [client.hear()["seq"] for _ in range(10)] == list(range(1, 11))


def test_a_server_that_stops_says_so(tmp_path, client_of, announcing, customer):
    with running_server(tmp_path / "log", settings_module=SHORT_TIMES) as (process, host):
        client = client_of(customer, host=host, v2=True)
        # Daphne forgets to say goodbye when anybody has connected within the last second.
        for _ in range(4):
            client.hear_until("ping")
            client.say({"type": "pong"})

        process.terminate()

        assert client.closing()[1] == 1012


def test_open_sockets_are_counted_and_those_of_a_killed_server_are_forgotten(
    tmp_path, listening, customer, agent, impatient_server
):
    with running_server(tmp_path / "log", settings_module=SHORT_TIMES) as (process, host):
        listening(customer, host=host)
        leaving = listening(agent, host=host)
        elsewhere = listening(agent, host=impatient_server)
        wait_until(lambda: open_sockets.total() == 3)

        leaving.close()
        wait_until(lambda: open_sockets.total() == 2)
        process.kill()
        wait_until(lambda: open_sockets.total() == 1)

        elsewhere.close()
        wait_until(lambda: open_sockets.total() == 0)


def test_a_cache_that_hangs_keeps_no_socket_waiting(tmp_path, fragile, listening, announcing, customer, agent, ticket):
    with socket.create_server((LOOPBACK, 0)) as hung:
        redis_url = f"redis://{LOOPBACK}:{hung.getsockname()[1]}/0"
        with running_server(tmp_path / "log", REDIS_URL=redis_url, CHANNEL_REDIS_URL=fragile.url) as (_, host):
            client = listening(customer, host=host)

            comment(ticket, agent)

            assert client.hear()["seq"] == 1


def told_at_once(user, ticket, agent, count, size):
    """Fill a stream with copies of one event whose comment has so many characters."""
    comment(ticket, agent, "x" * size)
    announced()
    frame = Notification.objects.get(user=user).frame
    Notification.objects.bulk_create(Notification(user=user, seq=seq, frame=frame) for seq in range(2, count + 1))
    Stream.objects.filter(user=user).update(last_seq=count)


def test_a_client_that_does_not_read_is_cut_and_resumes_to_complete(
    impatient_server, client_of, announcing, customer, agent, ticket
):
    told_at_once(customer, ticket, agent, count=1_000, size=10_000)
    slow = stalled(impatient_server, issue_tokens(customer)["access"])

    wait_until(lambda: is_cut(slow))

    told = client_of(customer, since=0).hear_until("resumed")
    assert [frame["seq"] for frame in told if "id" in frame] == list(range(1, 1_001))
