"""Formatters of log lines, JSON in production and text elsewhere; both redact secrets."""

import logging
import os
import re
from datetime import UTC, datetime
from typing import Any

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

from helpdesk.core.request_id import request_id

# Text before or at the start of a secret. Most lines contain none, and skip the regular expression.
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
# Up to the next quote, space or separator, so that JSON stays JSON.
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
# C0 but the tab, C1, and Unicode's line and paragraph separators.
CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")

# Set on records by Django and Celery: requests with their query strings, and the arguments of tasks.
FOREIGN_FIELDS = ("data", "request", "server_time", "status_code")


class JSONFormatter(JsonFormatter):
    """One JSON object a line: time, level, logger, message, request_id, process, pid, exception, the record's `extra`."""

    def __init__(self) -> None:
        super().__init__(
            ["levelname", "name", "message"],
            rename_fields={"levelname": "level", "name": "logger", "exc_info": "exception"},
            reserved_attrs=[*RESERVED_ATTRS, *FOREIGN_FIELDS],
            json_default=str,
        )
        self.role = os.environ.get("PROCESS_ROLE", "command")

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        log_data["time"] = time.replace("+00:00", "Z")
        super().add_fields(log_data, record, message_dict)
        log_data["request_id"] = log_data.get("request_id") or request_id() or None
        log_data |= {"process": self.role, "pid": record.process}

    def format(self, record: logging.LogRecord) -> str:
        return redact(escape_controls(super().format(record)))


class LineFormatter(logging.Formatter):
    """One line of text, and below it the traceback if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 -- logging's own name
        return escape_controls(super().formatMessage(record))

    def formatException(self, exc_info: Any) -> str:  # noqa: N802 -- likewise
        return "\n".join(map(escape_controls, super().formatException(exc_info).split("\n")))


def escape_controls(text: str) -> str:
    r"""Return the text with control characters and line breaks escaped as in JSON: ESC becomes \u001b."""
    return CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def redact(text: str) -> str:
    """Return the text without tokens, passwords and the secret part of mailed links."""
    lower = text.lower()
    for hint in HINTS:
        if hint in lower:
            return SECRETS.sub(REDACTED, text)
    return text
