"""The hub: what fails in one connection, or in the hub itself, delays no event of the other connections for long."""

import asyncio
import json
import time
from datetime import timedelta
from functools import partial

import pytest
from autobahn.exception import Disconnected
from channels.layers import get_channel_layer

from helpdesk.notifications.live import hub as hub_module
from helpdesk.notifications.live import websocket
from helpdesk.notifications.live.connection import Connection
from helpdesk.notifications.live.hub import Hub, get_hub
from helpdesk.notifications.live.protocol import (
    MAX_FRAMES_PER_MINUTE,
    MAX_UNSENT_BYTES,
    PROCESSES,
    CloseCode,
    EventMessage,
)
from helpdesk.notifications.receivers import group_message

from .conftest import TIMEOUT

USER = 1


class RecordedConnection(Connection):
    """A connection in the hub that records the numbers of its events, and the requests to read the database."""

    def __init__(self, error=None):
        super().__init__(self.record)
        self.user_id = USER
        self.error = error
        self.events, self.requests = asyncio.Queue(), asyncio.Queue()
        get_hub().add(self)

    async def record(self, message):
        if self.error:
            raise self.error
        if message["type"] == "websocket.send":
            self.events.put_nowait(json.loads(message["text"])["seq"])

    def request_catch_up(self):
        self.requests.put_nowait(None)


async def next_of(queue):
    async with asyncio.timeout(TIMEOUT):
        return await queue.get()


async def wait_until(condition):
    async with asyncio.timeout(TIMEOUT):
        while not condition():  # noqa: ASYNC110 -- other tasks make it true
            await asyncio.sleep(0.01)


async def publish(seq):
    await get_channel_layer().group_send(PROCESSES, group_message([EventMessage('{"seq":', [(USER, seq)])]))


def with_hub(test):
    """Run a coroutine function with a hub that has subscribed, and end the hub."""

    async def run():
        hub = get_hub()
        await wait_until(lambda: hub.last_keepalive)
        try:
            await test(hub)
        finally:
            for task in hub.tasks:
                task.cancel()
            await get_channel_layer().flush()

    asyncio.run(run())


@pytest.mark.parametrize("error", [Disconnected("closing"), RuntimeError("broken")])
def test_a_connection_that_fails_is_closed_and_delays_no_other(error):
    async def test(hub):
        broken, healthy = RecordedConnection(error), RecordedConnection()
        receiver = hub.tasks[0]

        for seq in (1, 2, 3):
            await publish(seq)

        assert [await next_of(healthy.events) for _ in range(3)] == [1, 2, 3]
        assert broken.is_closed
        assert hub.connections_of(USER) == (healthy,)
        assert not receiver.done()
        assert time.monotonic() - hub.keepalive_at < hub_module.SILENCE_TIMEOUT

    with_hub(test)


def test_a_hub_that_cannot_handle_a_message_logs_it_and_subscribes_again(caplog):
    async def test(hub):
        connection = RecordedConnection()

        await get_channel_layer().group_send(PROCESSES, {"of": "another version"})

        await next_of(connection.requests)
        await publish(1)
        assert await next_of(connection.events) == 1

    with_hub(test)
    assert "Hub job receive_messages failed; restarting it" in caplog.text


def test_a_channel_layer_that_cannot_be_renewed_is_replaced():
    async def test(hub):
        connection = RecordedConnection()
        (shard,) = get_channel_layer()._get_layer()._shards
        receiver = shard._receive_task
        receiver.cancel()
        await asyncio.wait([receiver])

        async def fail():
            raise TimeoutError

        shard._receive_task = asyncio.create_task(fail())

        await next_of(connection.requests)
        await publish(1)
        assert await next_of(connection.events) == 1
        # Channels flushes it once more when the loop ends.
        shard._receive_task = None

    with_hub(test)


@pytest.mark.parametrize("name", ["report_connections", "run_heartbeats"])
def test_a_job_of_the_hub_that_fails_is_logged_and_runs_again(name, monkeypatch, caplog):
    calls = []

    async def fail(_hub):
        calls.append(name)
        raise RuntimeError("broken")

    fail.__name__ = name
    monkeypatch.setattr(Hub, name, fail)
    monkeypatch.setattr(hub_module, "RETRY_DELAY", 0.01)

    async def test(_hub):
        await wait_until(lambda: len(calls) > 1)

    with_hub(test)
    assert f"Hub job {name} failed; restarting it" in caplog.text


def test_a_hub_that_receives_nothing_reports_its_silence(settings):
    settings.WEBSOCKET_COUNT_INTERVAL = settings.WEBSOCKET_COUNT_INTERVAL / 100

    async def test(hub):
        hub.keepalive_at = time.monotonic() - 40
        hub.tasks[0].cancel()
        await wait_until(lambda: max(report.silence_seconds for report in hub_module.valid_reports()) >= 40)

    with_hub(test)


class DaphneProtocol:
    """What is used of Daphne's protocol object, which is the edge of the network here."""

    STATE_CLOSED, STATE_CONNECTING, STATE_CLOSING, STATE_OPEN = range(4)
    state = STATE_OPEN

    def __init__(self, *, unsent=0):
        self.application_queue = asyncio.Queue()
        self.dataBuffer, self.offset, self._tempDataLen = b"x" * unsent, 0, 0
        self.transport = self
        self.is_aborted = False
        self.pongs = []
        self.close_codes = []
        self.send = partial(lambda _protocol, _message: None, self)

    def onMessage(self, payload, is_binary):  # noqa: N802 -- autobahn's name
        self.application_queue.put_nowait(payload)

    def onPing(self, payload):  # noqa: N802 -- autobahn's name
        self.pongs.append(payload)

    def abortConnection(self):  # noqa: N802 -- Twisted's name
        self.is_aborted = True

    def sendCloseFrame(self, *, code):  # noqa: N802 -- autobahn's name
        self.close_codes.append(code)


@pytest.mark.parametrize(("unsent", "pongs"), [(MAX_UNSENT_BYTES, [b"a"]), (MAX_UNSENT_BYTES + 1, [])])
def test_pings_of_a_client_that_does_not_read_are_not_answered(unsent, pongs):
    protocol = DaphneProtocol(unsent=unsent)
    websocket.limit(protocol.send, on_pong=lambda: None)

    protocol.onPing(b"a")

    assert protocol.pongs == pongs


def test_frames_are_queued_up_to_a_limit():
    protocol = DaphneProtocol()
    websocket.limit(protocol.send, on_pong=lambda: None)

    for _ in range(MAX_FRAMES_PER_MINUTE + 1):
        protocol.onMessage(b"{}", is_binary=False)

    assert protocol.application_queue.qsize() == MAX_FRAMES_PER_MINUTE
    assert protocol.close_codes == [CloseCode.TOO_MANY_FRAMES]


@pytest.mark.parametrize(("state", "codes"), [(DaphneProtocol.STATE_OPEN, [1012]), (DaphneProtocol.STATE_CLOSED, [])])
def test_a_connection_that_its_client_has_closed_is_aborted(state, codes, settings):
    settings.WEBSOCKET_SLOW_CLIENT_TIMEOUT = timedelta(0)
    protocol = DaphneProtocol(unsent=1)
    protocol.state = state

    async def close():
        await websocket.close(protocol.send, CloseCode.RESTART)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    asyncio.run(close())

    assert (protocol.close_codes, protocol.is_aborted) == (codes, state == DaphneProtocol.STATE_CLOSED)
