"""The one way to Redis from a request: it never costs a request more time than it can bear."""

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
# An outage is over once nothing has failed for as long; one that comes and goes is logged once.
RECOVERY_SECONDS = 10.0
RUN_ID = re.compile(rb"run_id:(\w+)")


class CircuitBreaker:
    """Is open for PAUSE_SECONDS after Redis did not answer: meanwhile nobody in this process waits for it again.

    It logs an outage when it begins and when it is over.
    """

    def __init__(self) -> None:
        self.open_until = 0.0
        self.failed_at: float | None = None

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Open the circuit if Redis does not answer inside; raises RedisError at once while it is open."""
        if time.monotonic() < self.open_until:
            raise NoConnection("it did not answer a moment ago")
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
            logger.warning("Redis fails, and the work goes on without it: %s", error)
        self.failed_at = time.monotonic()

    def log_recovery(self) -> None:
        if self.failed_at is not None and time.monotonic() > self.failed_at + RECOVERY_SECONDS:
            logger.info("Redis answers again")
            self.failed_at = None

    def close(self) -> None:
        self.open_until = 0.0
        self.failed_at = None


circuit = CircuitBreaker()


class ConnectionPool(redis.ConnectionPool):
    """Its connections carry the id of the server's run: a server that is started again has another one."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(redis_connect_func=connect, **kwargs)


class Client(redis.Redis):
    """A client that can say which run of the server gave an answer."""

    def mget_in_run(self, keys: Sequence[str]) -> tuple[bytes, list[bytes | None]]:
        """Return the id of the server's run, and the values of the keys, in one round trip."""
        answer = self.execute_command("MGET", *keys, with_run_id=True)  # type: ignore[no-untyped-call] # redis-py's
        return cast("tuple[bytes, list[bytes | None]]", answer)

    def parse_response(self, connection: Any, command_name: str, **options: Any) -> Any:
        with_run_id = options.pop("with_run_id", False)
        response = super().parse_response(connection, command_name, **options)  # type: ignore[no-untyped-call] # likewise
        return (connection.run_id, response) if with_run_id else response


def connect(connection: Any) -> None:
    """Open a connection as redis-py does, and learn which run of the server it leads to."""
    connection.on_connect()
    connection.send_command("INFO", "server", check_health=False)
    found = RUN_ID.search(connection.read_response())
    connection.run_id = found[1] if found else b""


@contextmanager
def connection() -> Iterator[Client]:
    """Yield a client of the cache's pool; it raises RedisError within REDIS_TIMEOUT_SECONDS, or at once."""
    with circuit.closed():
        yield cast("Client", get_redis_connection("default"))


def key(name: str) -> str:
    """Return the key under which the helpdesk keeps something of this name."""
    return f"{settings.CACHES['default']['KEY_PREFIX']}:{name}"


def pool() -> redis.ConnectionPool:
    """Return the cache's pool, for libraries that want one; use it inside `circuit.closed()`."""
    return get_redis_connection("default").connection_pool
