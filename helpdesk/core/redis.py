"""Redis with a circuit breaker, so that a request never waits long for it."""

import logging
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import redis
from django.conf import settings
from django_redis import get_redis_connection
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as NoAnswer

__all__ = ["Client", "ConnectionPool", "RedisError", "circuit", "connection", "key", "pool"]

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 1.0
# An outage is over after this time without a failure, so that an intermittent one is logged once.
RECOVERY_SECONDS = 10.0
RUN_ID = re.compile(rb"run_id:(\w+)")


class CircuitBreaker:
    """Opens for PAUSE_SECONDS when Redis does not respond; meanwhile calls of this process fail at once.

    Logs the beginning and the end of an outage.
    """

    def __init__(self) -> None:
        self.open_until = 0.0
        self.failed_at: float | None = None

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Open the circuit if Redis does not respond in the body; raise RedisError at once while it is open."""
        if time.monotonic() < self.open_until:
            raise NoConnection("the circuit breaker is open")
        try:
            yield
        except (NoConnection, NoAnswer) as error:
            self.open_until = time.monotonic() + PAUSE_SECONDS
            self.log_failure(error)
            raise
        except RedisError as error:
            self.log_failure(error)
            raise
        self.log_recovery()

    def log_failure(self, error: RedisError) -> None:
        if self.failed_at is None:
            logger.warning("Redis unavailable: continuing without it: %s", error)
        self.failed_at = time.monotonic()

    def log_recovery(self) -> None:
        if self.failed_at is not None and time.monotonic() > self.failed_at + RECOVERY_SECONDS:
            logger.info("Redis available again")
            self.failed_at = None

    def close(self) -> None:
        self.open_until = 0.0
        self.failed_at = None


circuit = CircuitBreaker()


class ConnectionPool(redis.ConnectionPool):
    """Its connections have the server's `run_id`, which changes when the server restarts."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(redis_connect_func=connect, **kwargs)


class Client(redis.Redis):
    """A client that can return the `run_id` of the server with a response."""

    def mget_in_run(self, keys: Sequence[str]) -> tuple[bytes, list[bytes | None]]:
        """Return the server's `run_id` and the values of the keys, in one round trip."""
        answer = self.execute_command("MGET", *keys, with_run_id=True)  # type: ignore[no-untyped-call] # redis-py's
        return cast("tuple[bytes, list[bytes | None]]", answer)

    def parse_response(self, connection: Any, command_name: str, **options: Any) -> Any:
        with_run_id = options.pop("with_run_id", False)
        response = super().parse_response(connection, command_name, **options)  # type: ignore[no-untyped-call] # likewise
        return (connection.run_id, response) if with_run_id else response


def connect(connection: Any) -> None:
    """Open a connection as redis-py does, and read the server's `run_id`."""
    connection.on_connect()
    connection.send_command("INFO", "server", check_health=False)
    match = RUN_ID.search(connection.read_response())
    connection.run_id = match[1] if match else b""


@contextmanager
def connection() -> Iterator[Client]:
    """Yield a client of the cache's pool; it raises RedisError after REDIS_TIMEOUT_SECONDS at most."""
    with circuit.closed():
        yield cast("Client", get_redis_connection("default"))


def key(name: str) -> str:
    """Return the name with the prefix of the helpdesk."""
    return f"{settings.CACHES['default']['KEY_PREFIX']}:{name}"


def pool() -> redis.ConnectionPool:
    """Return the cache's pool for libraries; use it inside `circuit.closed()`."""
    return get_redis_connection("default").connection_pool
