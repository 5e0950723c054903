"""An SMTP server (RFC 5321) that greets late, accepts everything and does as little as possible."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import cast

from benchmarks.background import running_loop
from compose.embedded.ports import LOOPBACK

GREETING_DELAY_SECONDS = 0.1


@dataclass
class Sink:
    """Its port, the connections that were made, and when each e-mail has arrived by `time.monotonic`."""

    port: int = 0
    connections: int = 0
    arrivals: list[float] = field(default_factory=list)


class Session(asyncio.Protocol):
    transport: asyncio.WriteTransport

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.unread, self.is_in_data = b"", False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.WriteTransport", transport)
        self.sink.connections += 1
        asyncio.get_running_loop().call_later(GREETING_DELAY_SECONDS, self.reply, "220 Welcome")

    def data_received(self, data: bytes) -> None:
        self.unread += data
        while True:
            line, found, rest = self.unread.partition(b"\r\n.\r\n" if self.is_in_data else b"\r\n")
            if not found:
                return
            self.unread = rest
            self.handle(line)

    def handle(self, line: bytes) -> None:
        if self.is_in_data:
            self.sink.arrivals.append(time.monotonic())
            self.is_in_data = False
            self.reply("250 Accepted")
        elif line.upper() == b"DATA":
            self.is_in_data = True
            self.reply("354 Go on")
        elif line.upper() == b"QUIT":
            self.reply("221 Bye")
            self.transport.close()
        else:
            self.reply("250 OK")

    def reply(self, line: str) -> None:
        if not self.transport.is_closing():
            self.transport.write(line.encode() + b"\r\n")


@contextmanager
def running_sink() -> Iterator[Sink]:
    sink = Sink()
    with running_loop() as run:
        server = run(listen(sink))
        sink.port = server.sockets[0].getsockname()[1]
        yield sink
        server.get_loop().call_soon_threadsafe(server.close)


async def listen(sink: Sink) -> asyncio.Server:
    return await asyncio.get_running_loop().create_server(lambda: Session(sink), LOOPBACK, 0)
