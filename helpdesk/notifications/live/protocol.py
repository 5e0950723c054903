"""The live protocol: what is said on a socket besides the events themselves, and why one is closed."""

from datetime import timedelta
from enum import IntEnum
from typing import Any

from helpdesk.core.json import dumps
from helpdesk.notifications.live.frames import PROTOCOL_VERSION

SUBPROTOCOL = f"helpdesk.v{PROTOCOL_VERSION}"

SOCKETS_PER_USER = 10
FRAMES_PER_MINUTE = 60
FRAME_BYTES = 64 * 1024
MOST_REPLAYED = 5_000
MISSED_HEARTBEATS = 2


class CloseCode(IntEnum):
    TOO_BIG = 1009
    FAILED = 1011
    RESTART = 1012
    INVALID_FRAME = 4400
    UNAUTHENTICATED = 4401
    FORBIDDEN = 4403
    TIMED_OUT = 4408
    TOO_MANY_SOCKETS = 4409
    TOO_SLOW = 4413
    TOO_MANY_FRAMES = 4429


class Closing(Exception):  # noqa: N818 -- not always an error
    """Ends a socket with a code."""

    def __init__(self, code: CloseCode) -> None:
        super().__init__(code.name)
        self.code = code


def control_frame(kind: str, **fields: Any) -> str:
    return dumps({"type": kind, **fields}).decode()


def hello(*, epoch: str, seq: int, oldest: int, heartbeat: timedelta, expires_in: timedelta) -> str:
    return control_frame(
        "hello",
        v=PROTOCOL_VERSION,
        epoch=epoch,
        seq=seq,
        oldest=oldest,
        heartbeat=heartbeat.total_seconds(),
        expires_in=int(expires_in.total_seconds()),
    )
