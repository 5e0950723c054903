"""Reads the environment; a required variable that is missing ends the start with one line."""

import sys
from typing import NoReturn

import environ

env = environ.Env()


def required(name: str, *, meaning: str) -> str:
    """Return the value of a variable, or end the process with a message that names it."""
    return str(env.str(name, default="")) or refuse(
        f"{name} is not set: it is {meaning}. `make up` sets it; containers read it from .envs/."
    )


def refuse(reason: str) -> NoReturn:
    """End the start with one line on stderr and exit code 1."""
    sys.exit(f"helpdesk cannot start: {reason}")
