"""The options of the stack, which are read from the environment."""

import os
from collections.abc import Mapping
from pathlib import Path

from compose.embedded.errors import UserError
from compose.embedded.ports import HIGHEST, free_port

ROOT = Path(__file__).resolve().parents[2]


class Options:
    """The options of `make up` and of what works on its data folder; UserError for a value that makes no sense."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self.port = _port(environment, "PORT", 8000)
        self.mail_port = _port(environment, "MAIL_PORT", 8025)
        self.flower_port = _port(environment, "FLOWER_PORT", 5555)
        self.smtp_port = _port(environment, "EMAIL_PORT", 0) or free_port()
        self.data_dir = ROOT / (environment.get("DATA_DIR") or ".data")
        self.database_url = environment.get("DATABASE_URL", "")
        self.redis_url = environment.get("REDIS_URL", "")
        self.broker_url = environment.get("CELERY_BROKER_URL", "")
        self.secret_key = environment.get("DJANGO_SECRET_KEY", "")
        self.demo_tickets = _number(environment, "DEMO_TICKETS", 1_000)


class ProductionOptions(Options):
    """Those of `make production`: the same, but for the port and the folder, so that both stacks can run at once."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        super().__init__(environment)
        self.port = _port(environment, "PRODUCTION_PORT", 8443)
        self.data_dir = ROOT / (environment.get("PRODUCTION_DATA_DIR") or ".data-production")


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
