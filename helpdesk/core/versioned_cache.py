"""Cached bytes that a write outdates at once, without looking for them.

Each scope (whoever shares a view of the rows) has a version, a random token in Redis that every write replaces. A
value is stored together with the versions that were read *before* it was computed, and counts only while they are
still the present ones: a slow reader that stores an old page stores it under an old version.
"""

import logging
import os
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import cast

from helpdesk.core import redis
from helpdesk.core.redis import RedisError

logger = logging.getLogger(__name__)

TOKEN_BYTES = 8


def cached(key: str, *, scopes: Sequence[str], lifetime: timedelta, compute: Callable[[], bytes]) -> bytes:
    """Return compute()'s bytes, or those stored under key since the last write to any of the scopes.

    One round trip when they are stored; without Redis it just computes.
    """
    try:
        stamp, stored = read(key, scopes)
    except RedisError as error:
        logger.warning("Redis does not answer: %s is computed (%s)", key, error)
        return compute()
    if stored is not None:
        return stored
    value = compute()
    try:
        with redis.connection() as client:
            client.set(value_key(key), stamp + value, ex=lifetime)
    except RedisError as error:
        logger.warning("Redis does not answer: %s is not stored (%s)", key, error)
    return value


def outdate(*scopes: str) -> None:
    """Give the scopes new versions; call it after the commit."""
    with redis.connection() as client:
        client.mset({version_key(scope): os.urandom(TOKEN_BYTES) for scope in scopes})


def read(key: str, scopes: Sequence[str]) -> tuple[bytes, bytes | None]:
    """Return the present stamp, and the stored value if it bears it."""
    version_keys = [version_key(scope) for scope in scopes]
    with redis.connection() as client:
        *versions, stored = cast("list[bytes | None]", client.mget([*version_keys, value_key(key)]))
    if None in versions:
        return begin(version_keys), None
    stamp = b"".join(version for version in versions if version)
    return stamp, stored[len(stamp) :] if stored and stored.startswith(stamp) else None


def begin(version_keys: Sequence[str]) -> bytes:
    """Give a version to the scopes that have none, and return the stamp."""
    with redis.connection() as client, client.pipeline(transaction=True) as pipeline:
        for name in version_keys:
            pipeline.set(name, os.urandom(TOKEN_BYTES), nx=True)
        pipeline.mget(version_keys)
        return b"".join(pipeline.execute()[-1])


def version_key(scope: str) -> str:
    return redis.key(f"version:{scope}")


def value_key(key: str) -> str:
    return redis.key(f"value:{key}")
