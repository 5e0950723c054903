"""Websocket clients that do as little as possible, so that their own work is not measured."""

import asyncio
import base64
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import cast

from benchmarks.background import running_loop
from benchmarks.data import TIMEOUT_SECONDS
from benchmarks.load import Address

# Handshakes at a time.
PARALLEL_HANDSHAKES = 200
RETRY_SECONDS = 1
TEXT, PING_FRAME, LENGTH_16, LENGTH_64 = 1, 9, 126, 127
PONG, MASKED, MASK = 0x8A, 0x80, bytes(4)
# A text frame, masked with zeros as a client's may be.
PING = b"\x81\x8f" + MASK + b'{"type":"ping"}'
MAXIMUM_HEADER = 4


@dataclass
class Recorder:
    """What has happened to all clients."""

    arrivals: list[tuple[int, float]] = field(default_factory=list)
    """Of each frame its number at its client, from 0, and its time.monotonic()."""
    retries: int = 0
    """Connections that were opened again: a busy server closes those whose handshake takes too long."""


class Client(asyncio.Protocol):
    """A connection, which gets every event once its first frame has arrived; that frame is not recorded.

    The first frame is the answer to a ping; with `since` in the path, it is `hello`, and the replayed events follow.
    """

    def __init__(self, address: Address, path: str, recorder: Recorder) -> None:
        self.address, self.path, self.recorder = address, path, recorder
        self.unread = b""
        self.is_upgraded = False
        self.count = -1
        self.opened = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            f"GET {self.path} HTTP/1.1",
            f"Host: {self.address.host}:{self.address.port}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {key}",
        ]
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write("\r\n".join([*lines, "", ""]).encode())

    def connection_lost(self, error: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(ConnectionError(f"No websocket was opened: {self.unread!r}"))

    def data_received(self, data: bytes) -> None:
        arrived_at = time.monotonic()
        self.unread += data
        if not self.is_upgraded:
            _head, end, rest = self.unread.partition(b"\r\n\r\n")
            if not end:
                return
            self.is_upgraded, self.unread = True, rest
            if "since=" not in self.path:
                self.transport.write(PING)
        for _frame in range(self.read_frames()):
            self.count += 1
            if self.count == 0:
                self.opened.set_result(None)
            else:
                self.recorder.arrivals.append((self.count - 1, arrived_at))

    def read_frames(self) -> int:
        """Consume the complete frames of the unread bytes (RFC 6455, 5.2), and return how many were text."""
        texts = position = 0
        while len(self.unread) >= position + MAXIMUM_HEADER:
            size, begin = self.unread[position + 1], position + 2
            if size == LENGTH_16:
                size, begin = int.from_bytes(self.unread[begin : begin + 2]), begin + 2
            if size == LENGTH_64 or len(self.unread) < begin + size:
                break
            opcode, payload = self.unread[position] & 0x0F, self.unread[begin : begin + size]
            position = begin + size
            texts += opcode == TEXT
            if opcode == PING_FRAME:
                self.transport.write(bytes([PONG, MASKED | size]) + MASK + payload)
        self.unread = self.unread[position:]
        return texts


@contextmanager
def connected_clients(address: Address, paths: Sequence[str], recorder: Recorder) -> Iterator[None]:
    """Open a connection for each path; the context begins when all have their first frame."""
    with running_loop() as run:
        clients = run(connect(address, paths, recorder))
        try:
            yield
        finally:
            run(disconnect(clients))


async def connect(address: Address, paths: Sequence[str], recorder: Recorder) -> list[Client]:
    limit = asyncio.Semaphore(PARALLEL_HANDSHAKES)

    async def open_client(path: str) -> Client:
        async with limit:
            while True:
                try:
                    return await open_one(address, path, recorder)
                except ConnectionError:
                    recorder.retries += 1
                await asyncio.sleep(RETRY_SECONDS)

    async with asyncio.timeout(TIMEOUT_SECONDS):
        return await asyncio.gather(*map(open_client, paths))


async def open_one(address: Address, path: str, recorder: Recorder) -> Client:
    """Return a client that has its first frame; ConnectionError if the server has closed it before."""
    loop = asyncio.get_running_loop()
    _, client = await loop.create_connection(lambda: Client(address, path, recorder), address.host, address.port)
    await client.opened
    return client


async def disconnect(clients: Sequence[Client]) -> None:
    for client in clients:
        client.transport.abort()


def websocket_path(token: str, *, since: int | None = None) -> str:
    """Return the address of a user's websocket, which begins with the events after the number `since`."""
    return f"/ws/notifications/?token={token}" + ("" if since is None else f"&since={since}")
