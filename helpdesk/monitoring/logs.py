"""How a line of the log looks: for programs in production, for people elsewhere, and without secrets for both."""

import json
import logging
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from helpdesk.core.request_id import request_id

# What stands before a secret, or begins one. Most lines hold none of it, and are spared the search.
HINTS = (
    "bearer",
    "token=",
    "password=",
    "/unsubscribe/",
    "/verify-email#",
    "/reset-password#",
    "row contains",
    "eyj",
    "://",
)
# Up to the next quote, space or separator: the line around it stays what it was, JSON too.
SECRETS = re.compile(
    r"""
        (?:(?<=bearer[ .])|(?<=token=)|(?<=password=)|(?<=/unsubscribe/)|(?<=/verify-email\#)|(?<=/reset-password\#))
        [^\s"'&\\/,]{8,}
    |   (?<=row\ contains\ \()[^"\\\n]+
    |   \beyJ[\w-]+\.[\w-]+\.[\w-]+
    |   (?<=://)[^\s"'@/]*:[^\s"'@/]+(?=@)
    """,
    re.VERBOSE | re.IGNORECASE,
)
REDACTED = "REDACTED"
# Those of ASCII but the tab, those of ISO 8859, and Unicode's line and paragraph separators.
CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")

ROLES = {
    "web_server.py": "web",
    "daphne": "websocket",
    "worker": "worker",
    "beat": "beat",
    "flower": "flower",
    "announce_events": "announcer",
}


class JSONFormatter(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, message, request_id, process, and `fields` if it has some."""

    def __init__(self) -> None:
        super().__init__()
        self.role = role_of(sys.argv)

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": getattr(record, "request_id", None) or request_id() or None,
            "process": self.role,
            "pid": record.process,
        }
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return without_secrets(escape_controls(json.dumps(line, default=str)))


class LineFormatter(logging.Formatter):
    """A line to be read; only a trace has lines of its own below it."""

    def format(self, record: logging.LogRecord) -> str:
        return without_secrets(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 -- logging's own name
        return escape_controls(super().formatMessage(record))

    def formatException(self, exc_info: Any) -> str:  # noqa: N802 -- likewise
        return "\n".join(map(escape_controls, super().formatException(exc_info).split("\n")))


def escape_controls(text: str) -> str:
    r"""Return a text whose control characters and line breaks are written as in JSON: ESC as \u001b."""
    return CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def without_secrets(text: str) -> str:
    """Return a text without tokens, passwords and the links that are mailed."""
    lower = text.lower()
    for hint in HINTS:
        if hint in lower:
            return SECRETS.sub(REDACTED, text)
    return text


def role_of(arguments: list[str]) -> str:
    """Return what a process is, by its command line."""
    program = Path(arguments[0])
    words = [program.parent.name if program.name == "__main__.py" else program.name, *arguments[1:]]
    return next((ROLES[word] for word in words if word in ROLES), "command")
