"""The hub of a process: what fails in one connection, or in the hub itself, keeps no event from the others for long."""

import asyncio
import time
from datetime import timedelta
from functools import partial

import pytest
from autobahn.exception import Disconnected
from channels.layers import get_channel_layer

from helpdesk.notifications.live import daphne, open_sockets
from helpdesk.notifications.live import hub as hub_module
from helpdesk.notifications.live.hub import Hub
from helpdesk.notifications.live.protocol import CloseCode
from helpdesk.notifications.live.publisher import GROUP, Told, message_of

SECONDS = 15
USER = 1


class Connection:
    """Keeps the numbers it is sent; or raises, as a connection does that is closing or broken."""

    is_authenticated = True
    answered_at = 0.0

    def __init__(self, error=None):
        self.error = error
        self.heard = asyncio.Queue()
        self.is_dropped = False

    async def hear(self, seq, head):
        if self.error:
            raise self.error
        self.heard.put_nowait(seq)

    def ring(self):
        self.heard.put_nowait("ring")

    def drop(self):
        self.is_dropped = True

    async def next(self):
        async with asyncio.timeout(SECONDS):
            while (heard := await self.heard.get()) == "ring":
                pass
        return heard

    async def rings(self):
        async with asyncio.timeout(SECONDS):
            while await self.heard.get() != "ring":
                pass


async def publish(seq):
    await get_channel_layer().group_send(GROUP, message_of([Told("{", [(USER, seq)])]))


async def until(condition):
    async with asyncio.timeout(SECONDS):
        while not condition():  # noqa: ASYNC110 -- it is what other tasks bring about
            await asyncio.sleep(0.01)


def in_hub(test):
    """Run a coroutine function with a hub that receives, and end the hub."""

    async def run():
        hub = Hub()
        await until(lambda: hub.last_pulse)
        try:
            await test(hub)
        finally:
            for task in hub.tasks:
                task.cancel()
            await get_channel_layer().flush()

    asyncio.run(run())


@pytest.mark.parametrize("error", [Disconnected("closing"), RuntimeError("broken")])
def test_a_connection_that_fails_is_dropped_and_costs_the_others_nothing(error):
    async def test(hub):
        broken, healthy = Connection(error), Connection()
        hub.join(USER, broken)
        hub.join(USER, healthy)
        listener = hub.tasks[0]

        for seq in (1, 2, 3):
            await publish(seq)

        assert [await healthy.next() for _ in range(3)] == [1, 2, 3]
        assert broken.is_dropped
        assert not listener.done()
        assert hub.silence_seconds < hub_module.DEAF_SECONDS

    in_hub(test)


def test_a_listener_that_fails_is_logged_and_subscribes_again(caplog):
    async def test(hub):
        connection = Connection()
        hub.join(USER, connection)

        await get_channel_layer().group_send(GROUP, {"of": "another version"})

        await connection.rings()
        await publish(1)
        assert await connection.next() == 1

    in_hub(test)
    assert "The hub's listen failed and starts again" in caplog.text


def test_a_channel_layer_that_cannot_be_renewed_is_replaced():
    async def test(hub):
        connection = Connection()
        hub.join(USER, connection)
        (shard,) = get_channel_layer()._get_layer()._shards
        receiver = shard._receive_task
        receiver.cancel()
        await asyncio.wait([receiver])

        async def fail():
            raise TimeoutError

        shard._receive_task = asyncio.create_task(fail())

        await connection.rings()
        await publish(1)
        assert await connection.next() == 1
        # Channels flushes it once more when the loop ends.
        shard._receive_task = None

    in_hub(test)


@pytest.mark.parametrize("name", ["report", "make_rounds"])
def test_the_other_tasks_of_the_hub_outlive_what_they_raise(name, monkeypatch, caplog):
    calls = []

    async def fail(_hub):
        calls.append(name)
        raise RuntimeError("broken")

    fail.__name__ = name
    monkeypatch.setattr(Hub, name, fail)
    monkeypatch.setattr(hub_module, "RETRY_SECONDS", 0.01)

    async def test(_hub):
        await until(lambda: len(calls) > 1)

    in_hub(test)
    assert f"The hub's {name} failed and starts again" in caplog.text


def test_a_hub_that_receives_nothing_reports_its_silence(settings):
    settings.WEBSOCKET_COUNT_INTERVAL = settings.WEBSOCKET_COUNT_INTERVAL / 100

    async def test(hub):
        hub.keep_alive_at = time.monotonic() - 40
        hub.tasks[0].cancel()
        await until(lambda: open_sockets.longest_silence_seconds() >= 40)

    in_hub(test)


class Protocol:
    """What `daphne` uses of Daphne's protocol, which is the edge of the network here."""

    STATE_CLOSED, STATE_CONNECTING, STATE_CLOSING, STATE_OPEN = range(4)
    state = STATE_OPEN

    def __init__(self, *, unsent):
        self.application_queue = asyncio.Queue()
        self.dataBuffer, self.offset, self._tempDataLen = b"x" * unsent, 0, 0
        self.transport = self
        self.is_aborted = False
        self.answered = []
        self.close_codes = []

    def onMessage(self, payload, is_binary):  # noqa: N802 -- autobahn's name
        self.application_queue.put_nowait(payload)

    def onPing(self, payload):  # noqa: N802 -- autobahn's name
        self.answered.append(payload)

    def abortConnection(self):  # noqa: N802 -- Twisted's name
        self.is_aborted = True

    def sendCloseFrame(self, *, code):  # noqa: N802 -- autobahn's name
        self.close_codes.append(code)


def send_to(protocol):
    return partial(lambda _protocol, _message: None, protocol)


def limited(protocol):
    daphne.limit(send_to(protocol), frame_bytes=10, queued_frames=3, unsent=100, on_pong=lambda: None)
    return protocol


@pytest.mark.parametrize(("unsent", "answered"), [(100, [b"a"]), (101, [])])
def test_pings_of_a_client_that_does_not_read_are_not_answered(unsent, answered):
    protocol = limited(Protocol(unsent=unsent))

    protocol.onPing(b"a")

    assert protocol.answered == answered


def test_frames_that_are_not_handled_yet_are_queued_up_to_a_limit():
    protocol = limited(Protocol(unsent=0))

    for _ in range(4):
        protocol.onMessage(b"{}", is_binary=False)

    assert protocol.application_queue.qsize() == 3
    assert protocol.close_codes == [CloseCode.TOO_MANY_FRAMES]


@pytest.mark.parametrize(("state", "code"), [(Protocol.STATE_OPEN, [1012]), (Protocol.STATE_CLOSED, [])])
def test_a_connection_that_its_client_has_closed_is_aborted_when_it_does_not_read(state, code, settings):
    settings.WEBSOCKET_SLOW_CLIENT_TIMEOUT = timedelta(0)
    protocol = Protocol(unsent=1)
    protocol.state = state

    async def close():
        await daphne.close(send_to(protocol), CloseCode.RESTART)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    asyncio.run(close())

    assert (protocol.close_codes, protocol.is_aborted) == (code, state == Protocol.STATE_CLOSED)
