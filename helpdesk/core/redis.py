"""The one way to Redis from a request: a pool whose time-outs a request can bear."""

from typing import cast

from django_redis import get_redis_connection
from redis import ConnectionPool, Redis
from redis.exceptions import RedisError

__all__ = ["RedisError", "connection", "pool"]


def connection() -> "Redis[bytes]":
    """Return a client of the cache's pool; it raises RedisError within REDIS_TIMEOUT_SECONDS."""
    return cast("Redis[bytes]", get_redis_connection("default"))


def pool() -> ConnectionPool:
    return connection().connection_pool
