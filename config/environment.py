"""Environment variables; one that is missing or invalid ends the start with one line on stderr."""

import re
import sys
from socket import gethostbyname_ex, gethostname
from typing import Any, NoReturn

import environ
from django.core.exceptions import ImproperlyConfigured

# Of the keys that Django generates, and of .envs/.local.
PUBLIC_KEY_PREFIXES = ("django-insecure-", "local-only-and-public-")
MIN_KEY_LENGTH = 50
MIN_DISTINCT_CHARACTERS = 10
ORIGIN = re.compile(r"https?://[^/\s?#@*]+")


class Environment(environ.Env):
    def get_value(self, var: str, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().get_value(var, *args, **kwargs)
        except (ValueError, ImproperlyConfigured) as error:
            fail(f"{var} is invalid: {error}.")

    def origins(self, var: str, *, default: list[str]) -> list[str]:
        """Return a list of origins: scheme://host or scheme://host:port."""
        origins: list[str] = self.list(var, default=default)
        for origin in origins:
            if not ORIGIN.fullmatch(origin):
                fail(f"{var} is invalid: {origin} is not like https://app.example.com.")
        return origins


env = Environment()


def required(name: str, *, meaning: str) -> str:
    """Return the value of a variable; end the process if it is unset or empty."""
    return str(env.str(name, default="")) or fail(
        f"{name} is not set: it is {meaning}. `make up` sets it; containers read it from .envs/.",
    )


def check_key(name: str, key: str) -> None:
    """End the process if a secret key is public or weak."""
    if key.startswith(PUBLIC_KEY_PREFIXES):
        fail(f"{name} is public: use {MIN_KEY_LENGTH} random characters.")
    if len(key) < MIN_KEY_LENGTH or len(set(key)) < MIN_DISTINCT_CHARACTERS:
        fail(f"{name} is weak: use {MIN_KEY_LENGTH} random characters.")


def own_addresses() -> list[str]:
    """Return the IPv4 addresses of this host; none if its name does not resolve."""
    try:
        return gethostbyname_ex(gethostname())[2]
    except OSError:
        return []


def fail(reason: str) -> NoReturn:
    """End the process with one line on stderr and exit code 1."""
    sys.exit(f"helpdesk cannot start: {reason}")
