"""The options of the stack, which are read from the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from compose.embedded.errors import UserError
from compose.embedded.ports import HIGHEST

ROOT = Path(__file__).resolve().parents[2]
DEFAULT_DEMO_TICKETS = 1_000


@dataclass(frozen=True, kw_only=True)
class Options:
    port: int
    mail_port: int
    flower_port: int
    smtp_port: int | None
    data_dir: Path
    database_url: str
    redis_url: str
    broker_url: str
    demo_tickets: int


def read_options(environment: Mapping[str, str] = os.environ) -> Options:
    return Options(
        port=_port(environment, "PORT", 8000),
        mail_port=_port(environment, "MAIL_PORT", 8025),
        flower_port=_port(environment, "FLOWER_PORT", 5555),
        smtp_port=_port(environment, "EMAIL_PORT", 0) or None,
        data_dir=ROOT / (environment.get("DATA_DIR") or ".data"),
        database_url=environment.get("DATABASE_URL", ""),
        redis_url=environment.get("REDIS_URL", ""),
        broker_url=environment.get("CELERY_BROKER_URL", ""),
        demo_tickets=_number(environment, "DEMO_TICKETS", DEFAULT_DEMO_TICKETS),
    )


def read_production_options(environment: Mapping[str, str] = os.environ) -> Options:
    """Return the same, but for the port and the folder, so that both stacks can run at once."""
    return replace(
        read_options(environment),
        port=_port(environment, "PRODUCTION_PORT", 8443),
        data_dir=ROOT / (environment.get("PRODUCTION_DATA_DIR") or ".data-production"),
    )


def _port(environment: Mapping[str, str], name: str, default: int) -> int:
    port = _number(environment, name, default)
    if port > HIGHEST or (port == 0 and default):
        raise UserError(f"{name} is {port}: it must be a port, 1 to {HIGHEST}.")
    return port


def _number(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name) or str(default)
    if not (text.isascii() and text.isdigit()):
        raise UserError(f"{name} is {text!r}: it must be a whole number.")
    return int(text)
