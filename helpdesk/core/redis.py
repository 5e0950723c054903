"""The one way to Redis from a request: it never costs a request more time than it can bear."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django_redis import get_redis_connection
from redis import ConnectionPool, Redis
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as NoAnswer

__all__ = ["RedisError", "circuit", "connection", "key", "pool"]

PAUSE_SECONDS = 1.0


class CircuitBreaker:
    """Is open for PAUSE_SECONDS after Redis did not answer: meanwhile nobody in this process waits for it again."""

    def __init__(self) -> None:
        self.open_until = 0.0

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Open the circuit if Redis does not answer inside; raises RedisError at once while it is open."""
        if time.monotonic() < self.open_until:
            raise NoConnection("it did not answer a moment ago")
        try:
            yield
        except (NoConnection, NoAnswer):
            self.open_until = time.monotonic() + PAUSE_SECONDS
            raise

    def close(self) -> None:
        self.open_until = 0.0


circuit = CircuitBreaker()


@contextmanager
def connection() -> Iterator[Redis]:
    """Yield a client of the cache's pool; it raises RedisError within REDIS_TIMEOUT_SECONDS, or at once."""
    with circuit.closed():
        yield get_redis_connection("default")


def key(name: str) -> str:
    """Return the key under which the helpdesk keeps something of this name."""
    return f"{settings.CACHES['default']['KEY_PREFIX']}:{name}"


def pool() -> ConnectionPool:
    """Return the cache's pool, for libraries that want one; use it inside `circuit.closed()`."""
    return get_redis_connection("default").connection_pool
