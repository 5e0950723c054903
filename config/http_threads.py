"""Runs the WSGI stack inside an ASGI server, in a bounded number of threads.

A crossing between the event loop and a thread costs as much as the server itself, so an answer crosses once, whole;
only one that comes in several chunks is sent chunk by chunk.

Daphne cuts the requests in flight when it stops. Here they are answered first, and nothing is begun any more: a
request that gets no answer, or 503, has changed nothing.
"""

import asyncio
import io
import sys
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http import HTTPStatus
from typing import Any
from wsgiref.types import WSGIApplication, WSGIEnvironment

from asgiref.typing import HTTPScope
from twisted.internet import defer
from twisted.web.http import RESPONSES

Event = dict[str, Any]

DRAIN_SECONDS = 2.0
POLL_SECONDS = 0.01
# The server writes meanwhile.
FAREWELL_SECONDS = 0.1
REFUSAL: list[Event] = [
    {
        "type": "http.response.start",
        "status": 503,
        "headers": [(b"content-length", b"0"), (b"retry-after", b"2"), (b"connection", b"close")],
    },
    {"type": "http.response.body", "body": b""},
]
# Twisted knows the status codes of 1999, and calls the others "Unknown Status".
RESPONSES.update({status.value: status.phrase.encode() for status in HTTPStatus if status not in RESPONSES})


class HTTPThreads:
    """An ASGI application, for HTTP alone, that answers as the WSGI application does."""

    def __init__(self, application: WSGIApplication, *, threads: int) -> None:
        self.application = application
        self.executor = ThreadPoolExecutor(threads, thread_name_prefix="http")
        self.in_flight = 0
        self.is_draining = False

    async def __call__(
        self,
        scope: HTTPScope,
        receive: Callable[[], Awaitable[Event]],
        send: Callable[[Event], Coroutine[Any, Any, None]],
    ) -> None:
        loop = asyncio.get_running_loop()
        environ = environ_of(scope, await body_from(receive))
        answer = Answer(lambda event: asyncio.run_coroutine_threadsafe(send(event), loop).result())
        if self.is_draining:
            for event in REFUSAL:
                await send(event)
            return
        self.in_flight += 1
        try:
            made = loop.run_in_executor(self.executor, answer.make, self.application, environ)
            for event in await although_cancelled(made):
                await send(event)
        finally:
            self.in_flight -= 1

    async def drain(self) -> None:
        """Begin nothing any more, and return when what is in flight has been answered, or DRAIN_SECONDS have passed."""
        self.is_draining = True
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                while self.in_flight:  # noqa: ASYNC110 -- an event would cost every request something
                    await asyncio.sleep(POLL_SECONDS)
        await asyncio.sleep(FAREWELL_SECONDS)

    def drain_before_shutdown(self, reactor: Any) -> None:
        """Have Daphne's reactor drain first when it is told to stop."""
        reactor.addSystemEventTrigger(
            "before", "shutdown", lambda: defer.Deferred.fromFuture(asyncio.ensure_future(self.drain()))
        )


async def although_cancelled(made: asyncio.Future[list[Event]]) -> list[Event]:
    """Return a result also when a server that stops cancels us meanwhile: a thread cannot be called back."""
    try:
        return await asyncio.shield(made)
    except asyncio.CancelledError:
        return await made


class Answer:
    """The events that answer one request, made in a thread."""

    def __init__(self, send: Callable[[Event], None]) -> None:
        self.send = send
        self.head: list[Event] = []

    def make(self, application: WSGIApplication, environ: WSGIEnvironment) -> list[Event]:
        """Send all chunks but the last, and return the events that are left to send."""
        chunks = application(environ, self.start)
        last = b""
        try:
            for chunk in chunks:
                if last:
                    self.send_early(last)
                last = chunk
        finally:
            # Here Django ends the request; it has to be in the thread that holds the database connection.
            getattr(chunks, "close", lambda: None)()
        return [*self.head, {"type": "http.response.body", "body": last}]

    def start(self, status: str, headers: list[tuple[str, str]], _: object = None, /) -> Callable[[bytes], None]:
        """Be the start_response of PEP 3333."""
        encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        self.head = [{"type": "http.response.start", "status": int(status[:3]), "headers": encoded}]
        return self.send_early

    def send_early(self, chunk: bytes) -> None:
        for event in [*self.head, {"type": "http.response.body", "body": chunk, "more_body": True}]:
            self.send(event)
        self.head = []


async def body_from(receive: Callable[[], Awaitable[Event]]) -> bytes:
    """Return the request's body, which Daphne holds in memory anyway."""
    event = await receive()
    chunks = [event.get("body", b"")]
    while event.get("more_body", False):
        event = await receive()
        chunks.append(event.get("body", b""))
    return b"".join(chunks)


def environ_of(scope: HTTPScope, body: bytes) -> WSGIEnvironment:
    """Return what PEP 3333 makes of a request."""
    environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": scope["root_path"].encode().decode("latin-1"),
        "PATH_INFO": scope["path"].removeprefix(scope["root_path"]).encode().decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    host, port = scope["server"] or ("localhost", 80)
    environ |= {"SERVER_NAME": host, "SERVER_PORT": str(port)}
    if scope["client"]:
        environ["REMOTE_ADDR"] = scope["client"][0]
    for raw_name, raw_value in scope["headers"]:
        if b"_" in raw_name:
            continue  # It would pass for the header with a hyphen, which a proxy may have set.
        name, value = raw_name.decode("latin-1").upper().replace("-", "_"), raw_value.decode("latin-1")
        key = name if name in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{name}"
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    environ["CONTENT_LENGTH"] = str(len(body))  # A chunked request has none of its own, and Django would not read it.
    return environ
