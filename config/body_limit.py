"""Daphne's HTTP side: a body over the limit is refused while it arrives (413), and malformed HTTP is answered 400.

Twisted, below Daphne, keeps a whole body in memory before the application is called, however large the body is.
"""

import logging
import uuid
from http import HTTPStatus
from typing import Any

from daphne import http_protocol
from django.http import HttpResponse
from rest_framework.exceptions import ParseError
from twisted.web.http import RESPONSES, HTTPChannel

from helpdesk.core.errors import PayloadTooLarge, to_http_response
from helpdesk.core.request_id import on_behalf_of

# For a client that sends all of its body before it reads the answer.
LINGER_SECONDS = 5

logger = logging.getLogger(__name__)

# Twisted has the status codes of RFC 2616 (1999); others would be sent as "Unknown Status".
RESPONSES.update({status.value: status.phrase.encode() for status in HTTPStatus if status not in RESPONSES})


class LimitedRequest(http_protocol.WebRequest):  # type: ignore[misc] # Twisted is not typed
    """A request whose body is at most `maximum_body` bytes long."""

    maximum_body: int
    received = 0
    is_refused = False

    def gotLength(self, length: int | None) -> None:  # noqa: N802 -- as in Twisted
        self.is_refused = length is not None and length > self.maximum_body
        super().gotLength(0 if self.is_refused else length)
        if self.is_refused:
            self.refuse()

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802 -- as in Twisted
        if self.is_refused:
            return
        self.received += len(data)
        if self.received > self.maximum_body:
            self.is_refused = True
            self.content.truncate(0)
            self.refuse()
        else:
            super().handleContentChunk(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:  # noqa: N802 -- as in Twisted
        if not self.is_refused:
            super().requestReceived(command, path, version)

    def refuse(self) -> None:
        """Answer 413 and close; until then the rest of the body is read and dropped, or its sender would see no answer."""
        # Nothing is to be sent after the answer.
        self.requestHeaders.removeHeader(b"Expect")
        request_id = uuid.uuid4().hex
        logger.info("A body of more than %d bytes is refused: request %s", self.maximum_body, request_id)
        transport = self.channel.transport
        transport.write(refusal(PayloadTooLarge(), request_id))
        transport.loseWriteConnection()
        self.channel.callLater(LINGER_SECONDS, transport.abortConnection)


def limit_bodies(maximum: int) -> None:
    """Have Daphne refuse bodies of more bytes than `maximum`, and answer a malformed request with a problem document."""
    LimitedRequest.maximum_body = maximum
    http_protocol.WebRequest = LimitedRequest
    # There is no public place.
    HTTPChannel._respondToBadRequestAndDisconnect = refuse_malformed  # type: ignore[method-assign] # noqa: SLF001


def refuse_malformed(channel: Any) -> None:
    channel.transport.write(refusal(ParseError("Malformed HTTP request."), uuid.uuid4().hex))
    channel.loseConnection()


def refusal(error: PayloadTooLarge | ParseError, request_id: str) -> bytes:
    """Return a whole HTTP response: the problem document of an error."""
    with on_behalf_of(request_id):
        return serialized(to_http_response(error), request_id)


def serialized(response: HttpResponse, request_id: str) -> bytes:
    headers = dict(response.items()) | {
        "Content-Length": str(len(response.content)),
        "X-Request-ID": request_id,
        "Connection": "close",
    }
    lines = [f"HTTP/1.1 {response.status_code} {HTTPStatus(response.status_code).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + response.content
