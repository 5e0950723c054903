"""The one way to Redis from a request: a pool whose time-outs a request can bear."""

from django_redis import get_redis_connection
from redis import ConnectionPool, Redis
from redis.exceptions import RedisError

__all__ = ["RedisError", "connection", "pool"]


def connection() -> Redis:
    """Return a client of the cache's pool; it raises RedisError within REDIS_TIMEOUT_SECONDS."""
    return get_redis_connection("default")


def pool() -> ConnectionPool:
    return connection().connection_pool
