"""Clients of the live protocol that resume, and keep what they have applied."""

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
LOOK_SECONDS = 0.2


class Applied(NamedTuple):
    """An event that a client has acted on."""

    seq: int
    id: str
    kind: str
    ticket_id: int | None
    at: float


class Listener(threading.Thread):
    """Follows the rule of docs/websocket.md: drops what it has, applies what is next, resumes when there is a hole."""

    def __init__(self, world: Site, username: str, *, seed: int, token: str | None = None) -> None:
        super().__init__(name=f"listener-{username}", daemon=True)
        self.world = world
        self.url = f"ws{world.site.removeprefix('http')}/ws/notifications/"
        self.username = username
        self.token = token or world.token(username)
        self.random = random.Random(f"{seed} {username}")
        self.applied: list[Applied] = []
        self.resyncs: list[str] = []
        self.closings: list[int] = []
        self.first: int | None = None
        self.last = 0
        self.epoch: str | None = None
        self.is_resuming = False
        self.connection: ClientConnection | None = None
        self.ended = threading.Event()
        self.may_read = threading.Event()
        self.may_read.set()

    def run(self) -> None:
        while not self.ended.is_set():
            with suppress(WebSocketException, OSError, EOFError):
                self.listen()
            self.ended.wait(self.random.uniform(0, LONGEST_PAUSE_SECONDS))

    def listen(self) -> None:
        options: dict[str, Any] = {"subprotocols": ["helpdesk.v2"], "open_timeout": 10, "close_timeout": 1}
        options["ssl"] = self.world.socket_tls
        with connect(self.url, **options, compression=None, proxy=None) as self.connection:
            self.is_resuming = False
            self.say(type="auth", token=self.token)
            try:
                while not self.ended.is_set():
                    self.may_read.wait()
                    with suppress(TimeoutError):
                        self.hear(json.loads(self.connection.recv(timeout=LOOK_SECONDS)))
            except ConnectionClosed as closed:
                self.closings.append(closed.rcvd.code if closed.rcvd else 1006)
                raise

    def hear(self, frame: dict[str, Any]) -> None:
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
                self.say(type="pong")
                if seq > self.last:
                    self.resume()
            case {"id": _, "seq": seq} if seq == self.last + 1:
                self.apply(frame)
            case {"id": _, "seq": seq} if seq > self.last:
                self.resume()

    def apply(self, frame: dict[str, Any]) -> None:
        self.last = frame["seq"]
        ticket_id = frame.get("ticket", {}).get("id")
        self.applied.append(Applied(frame["seq"], frame["id"], frame["type"], ticket_id, time.time()))

    def resume(self) -> None:
        if not self.is_resuming:
            self.is_resuming = True
            self.say(type="resume", epoch=self.epoch, seq=self.last)

    def say(self, **frame: Any) -> None:
        if self.connection is not None:
            self.connection.send(json.dumps(frame))

    def cut(self) -> None:
        """Break the connection as a network does, without a word."""
        if self.connection is not None:
            with suppress(OSError):
                self.connection.socket.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        self.ended.set()
        self.join()
