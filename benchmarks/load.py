"""A minimal HTTP client that sends requests over a few keep-alive connections and checks every status."""

import asyncio
import itertools
import json
import re
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


class UnexpectedResponseError(Exception):
    """A response with another status than the benchmark expects."""


class Address(NamedTuple):
    host: str
    port: int


class Request(NamedTuple):
    """One request, and the status that its response must have."""

    method: str
    path: str
    token: str = ""
    body: Any = None
    expected_status: int = 200


def send_all(address: Address, requests: Iterator[Request], *, connections: int, seconds: float) -> list[float]:
    """Send requests for that many seconds, or until there are no more; return the seconds that each one took."""
    return asyncio.run(_send_all_concurrently(address, requests, connections, seconds))


def fetch(address: Address, request: Request) -> Any:
    """Return the JSON document of one response."""
    return asyncio.run(_fetch(address, request))


async def _send_all_concurrently(
    address: Address, requests: Iterator[Request], connections: int, seconds: float
) -> list[float]:
    deadline = time.perf_counter() + seconds
    in_time = itertools.takewhile(lambda _: time.perf_counter() < deadline, requests)
    latencies: list[float] = []
    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(_send_all(address, in_time, latencies))
    return latencies


async def _send_all(address: Address, requests: Iterator[Request], latencies: list[float]) -> None:
    reader, writer = await asyncio.open_connection(*address)
    for request in requests:
        message = _encode(address, request)
        sent_at = time.perf_counter()
        writer.write(message)
        await _read_body(reader, request)
        latencies.append(time.perf_counter() - sent_at)
    writer.close()


async def _fetch(address: Address, request: Request) -> Any:
    reader, writer = await asyncio.open_connection(*address)
    writer.write(_encode(address, request))
    body = await _read_body(reader, request)
    writer.close()
    return json.loads(body)


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
