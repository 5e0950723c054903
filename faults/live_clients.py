"""Clients of the live protocol that resume, and record the events that they have applied."""

import json
import random
import socket
import threading
import time
from contextlib import suppress
from typing import Any, NamedTuple

from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import ClientConnection, connect

from faults.site import Site

LONGEST_PAUSE_SECONDS = 0.3
RECEIVE_TIMEOUT_SECONDS = 0.2


class AppliedEvent(NamedTuple):
    seq: int
    id: str
    kind: str
    ticket_id: int | None
    at: float
    """When it was applied, in seconds since the epoch."""


class LiveClient(threading.Thread):
    """Follows docs/websocket.md: ignores an event that it has, applies the next one, resumes when one is missing."""

    def __init__(self, site: Site, username: str, *, seed: int, token: str | None = None) -> None:
        super().__init__(name=f"client-{username}", daemon=True)
        self.site = site
        self.url = f"ws{site.url.removeprefix('http')}/ws/notifications/"
        self.username = username
        self.token = token or site.token(username)
        self.rng = random.Random(f"{seed} {username}")
        self.applied: list[AppliedEvent] = []
        self.resyncs: list[str] = []
        self.close_codes: list[int] = []
        self.first: int | None = None
        self.last = 0
        self.epoch: str | None = None
        self.is_resuming = False
        self.connection: ClientConnection | None = None
        self.stopped = threading.Event()
        self.may_read = threading.Event()
        self.may_read.set()

    def run(self) -> None:
        while not self.stopped.is_set():
            with suppress(WebSocketException, OSError, EOFError):
                self.connect()
            self.stopped.wait(self.rng.uniform(0, LONGEST_PAUSE_SECONDS))

    def connect(self) -> None:
        """Open a connection and receive frames until it closes or the client is stopped."""
        options: dict[str, Any] = {"subprotocols": ["helpdesk.v2"], "open_timeout": 10, "close_timeout": 1}
        options["ssl"] = self.site.socket_tls
        with connect(self.url, **options, compression=None, proxy=None) as self.connection:
            self.is_resuming = False
            self.send(type="auth", token=self.token)
            try:
                while not self.stopped.is_set():
                    self.may_read.wait()
                    with suppress(TimeoutError):
                        self.receive(json.loads(self.connection.recv(timeout=RECEIVE_TIMEOUT_SECONDS)))
            except ConnectionClosed as closed:
                self.close_codes.append(closed.rcvd.code if closed.rcvd else 1006)
                raise

    def receive(self, frame: dict[str, Any]) -> None:
        match frame:
            case {"type": "hello", "seq": seq, "epoch": epoch}:
                if self.first is None:
                    self.first, self.last = seq + 1, seq
                elif (epoch, seq) != (self.epoch, self.last):
                    self.resume()
                self.epoch = self.epoch or epoch
            case {"type": "resumed"}:
                self.is_resuming = False
            case {"type": "resync", "seq": seq, "reason": reason}:
                self.is_resuming = False
                self.resyncs.append(reason)
                self.last = seq
            case {"type": "ping", "seq": seq}:
                self.send(type="pong")
                if seq > self.last:
                    self.resume()
            case {"id": _, "seq": seq} if seq == self.last + 1:
                self.apply(frame)
            case {"id": _, "seq": seq} if seq > self.last:
                self.resume()

    def apply(self, frame: dict[str, Any]) -> None:
        self.last = frame["seq"]
        ticket_id = frame.get("ticket", {}).get("id")
        self.applied.append(AppliedEvent(frame["seq"], frame["id"], frame["type"], ticket_id, time.time()))

    def resume(self) -> None:
        if not self.is_resuming:
            self.is_resuming = True
            self.send(type="resume", epoch=self.epoch, seq=self.last)

    def send(self, **frame: Any) -> None:
        if self.connection is not None:
            self.connection.send(json.dumps(frame))

    def break_connection(self) -> None:
        """Break the connection as a network does, without a close frame."""
        if self.connection is not None:
            with suppress(OSError):
                self.connection.socket.shutdown(socket.SHUT_RDWR)

    def stop(self) -> None:
        self.stopped.set()
        self.join()
