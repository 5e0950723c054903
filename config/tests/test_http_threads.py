"""What the WSGI stack is asked, and how its answers leave."""

import asyncio
import threading

import pytest

from config import http_threads
from config.http_threads import HTTPThreads

SCOPE = {
    "type": "http",
    "method": "POST",
    "http_version": "1.1",
    "scheme": "http",
    "path": "/api/größe/",
    "root_path": "",
    "query_string": b"page=2",
    "headers": [(b"content-length", b"5"), (b"x-request-id", b"abc"), (b"accept", b"a"), (b"accept", b"b")],
    "client": ["192.0.2.1", 50000],
    "server": ["127.0.0.1", 8000],
}
START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}


@pytest.fixture
def events_of():
    """Return a function from a WSGI application to the events that answer SCOPE with the body "hello"."""

    async def run(application):
        received = iter([{"body": b"hel", "more_body": True}, {"body": b"lo"}])
        sent = []

        async def receive():
            return next(received)

        async def send(event):
            sent.append(event)

        await HTTPThreads(application, threads=1)(SCOPE, receive, send)
        return sent

    return run


async def test_the_application_is_asked_as_by_a_wsgi_server(events_of):
    asked = {}

    def application(environ, start_response):
        asked.update(environ, body=environ["wsgi.input"].read())
        start_response("204 No Content", [])
        return [b""]

    await events_of(application)

    assert asked["REQUEST_METHOD"] == "POST"
    assert asked["PATH_INFO"].encode("latin-1").decode() == "/api/größe/"
    assert asked["QUERY_STRING"] == "page=2"
    assert asked["CONTENT_LENGTH"] == "5"
    assert asked["HTTP_X_REQUEST_ID"] == "abc"
    assert asked["HTTP_ACCEPT"] == "a,b"
    assert asked["REMOTE_ADDR"] == "192.0.2.1"
    assert (asked["SERVER_NAME"], asked["SERVER_PORT"]) == ("127.0.0.1", "8000")
    assert asked["body"] == b"hello"


async def test_an_answer_leaves_in_the_chunks_that_it_is_made_in(events_of):
    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return iter([b"one", b"two", b"three"])

    assert await events_of(application) == [
        START,
        {"type": "http.response.body", "body": b"one", "more_body": True},
        {"type": "http.response.body", "body": b"two", "more_body": True},
        {"type": "http.response.body", "body": b"three"},
    ]


async def test_an_answer_without_a_chunk_is_an_empty_body(events_of):
    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return []

    assert await events_of(application) == [START, {"type": "http.response.body", "body": b""}]


async def test_an_answer_is_closed_before_it_is_complete(events_of):
    class Chunks(list):
        def close(self):
            self.is_closed = True

    chunks = Chunks([b"one"])

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return chunks

    await events_of(application)

    assert chunks.is_closed


async def test_an_error_in_the_application_is_the_servers_to_report(events_of):
    def application(environ, start_response):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await events_of(application)


class Slow:
    """A WSGI application that answers when it may."""

    def __init__(self):
        self.is_asked, self.may_answer = threading.Event(), threading.Event()

    def __call__(self, environ, start_response):
        self.is_asked.set()
        assert self.may_answer.wait(10)
        start_response("200 OK", [])
        return [b"done"]


@pytest.fixture
def slow():
    application = Slow()
    yield application
    application.may_answer.set()


def requested(threads):
    """Return a task that answers SCOPE, and what it sends."""
    sent = []

    async def receive():
        return {"body": b""}

    async def send(event):
        sent.append(event)

    return asyncio.create_task(threads(SCOPE, receive, send)), sent


async def test_a_server_that_stops_answers_what_is_in_flight_although_it_cancels_it(slow):
    threads = HTTPThreads(slow, threads=1)
    request, sent = requested(threads)
    await asyncio.to_thread(slow.is_asked.wait, 10)

    draining = asyncio.create_task(threads.drain())
    request.cancel()
    await asyncio.sleep(0)
    assert not draining.done()
    slow.may_answer.set()
    await draining

    assert [event.get("status", event.get("body")) for event in sent] == [200, b"done"]


async def test_a_server_that_stops_begins_nothing(slow):
    threads = HTTPThreads(slow, threads=1)
    await threads.drain()

    request, sent = requested(threads)
    await request

    assert sent[0]["status"] == 503
    assert dict(sent[0]["headers"])[b"retry-after"] == b"2"
    assert not slow.is_asked.is_set()


async def test_what_hangs_keeps_no_server_from_stopping(slow, monkeypatch):
    monkeypatch.setattr(http_threads, "DRAIN_SECONDS", 0.05)
    threads = HTTPThreads(slow, threads=1)
    request, sent = requested(threads)
    await asyncio.to_thread(slow.is_asked.wait, 10)

    await threads.drain()

    assert sent == []
    slow.may_answer.set()
    await request
