"""A small HTTP client that keeps a server busy over a few keep-alive connections, and checks every answer."""

import asyncio
import itertools
import json
import re
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


class UnexpectedAnswerError(Exception):
    """The server answered something else than the benchmark asked for."""


class Address(NamedTuple):
    host: str
    port: int


class Request(NamedTuple):
    """One request, and the status that its answer must have."""

    method: str
    path: str
    token: str = ""
    body: Any = None
    expected_status: int = 200


def drive(address: Address, requests: Iterator[Request], *, connections: int, seconds: float) -> list[float]:
    """Send requests for that long, or until there are no more; return the seconds that each answer took."""
    return asyncio.run(_drive(address, requests, connections, seconds))


def ask(address: Address, request: Request) -> Any:
    """Return the JSON document that answers one request."""
    return asyncio.run(_ask(address, request))


async def _drive(address: Address, requests: Iterator[Request], connections: int, seconds: float) -> list[float]:
    deadline = time.perf_counter() + seconds
    timely = itertools.takewhile(lambda _: time.perf_counter() < deadline, requests)
    latencies: list[float] = []
    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(_keep_asking(address, timely, latencies))
    return latencies


async def _keep_asking(address: Address, requests: Iterator[Request], latencies: list[float]) -> None:
    reader, writer = await asyncio.open_connection(*address)
    for request in requests:
        message = _encoded(address, request)
        sent_at = time.perf_counter()
        writer.write(message)
        await _answer(reader, request)
        latencies.append(time.perf_counter() - sent_at)
    writer.close()


async def _ask(address: Address, request: Request) -> Any:
    reader, writer = await asyncio.open_connection(*address)
    writer.write(_encoded(address, request))
    body = await _answer(reader, request)
    writer.close()
    return json.loads(body)


async def _answer(reader: asyncio.StreamReader, request: Request) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = CONTENT_LENGTH.search(head)
    if length is None:
        raise UnexpectedAnswerError(f"{request.method} {request.path} was answered without Content-Length: {head!r}")
    body = await reader.readexactly(int(length[1]))
    status = int(head.split(b" ", 2)[1])
    if status != request.expected_status:
        raise UnexpectedAnswerError(f"{request.method} {request.path} was answered {status}: {body[:500]!r}")
    return body


def _encoded(address: Address, request: Request) -> bytes:
    body = b"" if request.body is None else json.dumps(request.body).encode()
    lines = [f"{request.method} {request.path} HTTP/1.1", f"Host: {address.host}:{address.port}", "Accept: */*"]
    if request.token:
        lines.append(f"Authorization: Bearer {request.token}")
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body
