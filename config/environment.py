"""Reads the environment; a variable that is missing or senseless ends the start with one line."""

import re
import sys
from socket import gethostbyname_ex, gethostname
from typing import Any, NoReturn

import environ
from django.core.exceptions import ImproperlyConfigured

# How Django begins the keys that it makes, and .envs/.local its own.
PUBLIC_KEYS = ("django-insecure-", "local-only-and-public-")
SHORTEST_KEY = 50
FEWEST_CHARACTERS = 10
ORIGIN = re.compile(r"https?://[^/\s?#@*]+")


class Environment(environ.Env):
    def get_value(self, var: str, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().get_value(var, *args, **kwargs)
        except (ValueError, ImproperlyConfigured) as error:
            refuse(f"{var} has a value that cannot be read: {error}.")

    def origins(self, var: str, *, default: list[str]) -> list[str]:
        """Return a list of origins, scheme://host or scheme://host:port each."""
        origins: list[str] = self.list(var, default=default)
        for origin in origins:
            if not ORIGIN.fullmatch(origin):
                refuse(f"{var} has a value that cannot be read: {origin} is not like https://app.example.com.")
        return origins


env = Environment()


def required(name: str, *, meaning: str) -> str:
    """Return the value of a variable, or end the process with a message that names it."""
    return str(env.str(name, default="")) or refuse(
        f"{name} is not set: it is {meaning}. `make up` sets it; containers read it from .envs/.",
    )


def refuse_weak_key(name: str, key: str) -> None:
    """Refuse a secret key that somebody else knows or can find."""
    if key.startswith(PUBLIC_KEYS):
        refuse(f"{name} is known to everybody: it takes {SHORTEST_KEY} random characters.")
    if len(key) < SHORTEST_KEY or len(set(key)) < FEWEST_CHARACTERS:
        refuse(f"{name} can be guessed: it takes {SHORTEST_KEY} random characters.")


def own_addresses() -> list[str]:
    """Return the IPv4 addresses of this host; none if its name does not resolve."""
    try:
        return gethostbyname_ex(gethostname())[2]
    except OSError:
        return []


def refuse(reason: str) -> NoReturn:
    """End the start with one line on stderr and exit code 1."""
    sys.exit(f"helpdesk cannot start: {reason}")
