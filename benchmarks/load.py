"""A minimal HTTP client that sends requests over a few keep-alive connections and checks every status."""

import asyncio
import itertools
import json
import math
import re
import ssl
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


class UnexpectedResponseError(Exception):
    """A response with another status than the benchmark expects."""


class Address(NamedTuple):
    host: str
    port: int
    authority: Path | None = None
    """The certificate that a TLS server's is signed with; None for a server without TLS."""


class Request(NamedTuple):
    """One request, and the status that its response must have."""

    method: str
    path: str
    token: str = ""
    body: Any = None
    expected_status: int = 200


class Connection:
    """A keep-alive connection, for one request after the other."""

    def __init__(self, address: Address, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.address, self.reader, self.writer = address, reader, writer

    @classmethod
    async def open(cls, address: Address) -> "Connection":
        tls = ssl.create_default_context(cafile=address.authority) if address.authority else None
        return cls(address, *await asyncio.open_connection(address.host, address.port, ssl=tls))

    def close(self) -> None:
        self.writer.close()

    async def send(self, request: Request) -> bytes:
        """Return the body of the response."""
        self.writer.write(_encode(self.address, request))
        return await _read_body(self.reader, request)

    async def time(self, request: Request) -> float:
        """Return the seconds until the response."""
        sent_at = time.perf_counter()
        await self.send(request)
        return time.perf_counter() - sent_at


def fetch(address: Address, request: Request) -> Any:
    """Return the JSON document of one response."""
    return asyncio.run(_fetch(address, request))


def send_all(
    address: Address, requests: Iterable[Request], *, connections: int, seconds: float = math.inf
) -> list[float]:
    """Send requests for that many seconds, or until there are no more; return the sorted seconds that each one took."""
    return asyncio.run(_send_all_concurrently(address, iter(requests), connections, seconds))


def send_after_writes(address: Address, requests: Iterable[Request], write: Request) -> list[float]:
    """Send each request alone and after a write; return the sorted seconds that the requests took."""
    return asyncio.run(_send_after_writes(address, requests, write))


def percentile(latencies: list[float], share: float) -> float:
    """Return the value of sorted latencies that this share of them does not exceed, in milliseconds."""
    return latencies[math.ceil(len(latencies) * share) - 1] * 1000


async def _fetch(address: Address, request: Request) -> Any:
    with closing(await Connection.open(address)) as connection:
        return json.loads(await connection.send(request))


async def _send_all_concurrently(
    address: Address, requests: Iterator[Request], connections: int, seconds: float
) -> list[float]:
    opened = [await Connection.open(address) for _ in range(connections)]
    deadline = time.perf_counter() + seconds
    in_time = itertools.takewhile(lambda _: time.perf_counter() < deadline, requests)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_send_all(connection, in_time)) for connection in opened]
    return sorted(latency for task in tasks for latency in task.result())


async def _send_all(connection: Connection, requests: Iterator[Request]) -> list[float]:
    with closing(connection):
        return [await connection.time(request) for request in requests]


async def _send_after_writes(address: Address, requests: Iterable[Request], write: Request) -> list[float]:
    latencies = []
    with closing(await Connection.open(address)) as connection:
        for request in requests:
            await connection.send(write)
            latencies.append(await connection.time(request))
    return sorted(latencies)


async def _read_body(reader: asyncio.StreamReader, request: Request) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = CONTENT_LENGTH.search(head)
    if length is None:
        raise UnexpectedResponseError(f"{request.method} {request.path} was answered without Content-Length: {head!r}")
    body = await reader.readexactly(int(length[1]))
    status = int(head.split(b" ", 2)[1])
    if status != request.expected_status:
        raise UnexpectedResponseError(f"{request.method} {request.path} was answered {status}: {body[:500]!r}")
    return body


def _encode(address: Address, request: Request) -> bytes:
    body = b"" if request.body is None else json.dumps(request.body).encode()
    lines = [f"{request.method} {request.path} HTTP/1.1", f"Host: {address.host}:{address.port}", "Accept: */*"]
    if request.token:
        lines.append(f"Authorization: Bearer {request.token}")
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body
