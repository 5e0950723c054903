"""Cached bytes that a write invalidates at once, without looking for them.

Each scope (whoever shares a view of the rows) has a version, a random token in Redis that every write replaces. A
value is stored together with the versions that were read *before* it was computed, and counts only while they are
still the present ones: a slow reader that stores an old page stores it under an old version. So it is with the run of
the server: what one reads from a snapshot when it is started again is not current.

There is room for a number of values of bounded size, however many keys there are: the place of a value is made of its
key, and the latest value takes it. What else is in Redis is never evicted for them.
"""

import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from enum import StrEnum
from hashlib import blake2b

from django.conf import settings

from helpdesk.core import redis
from helpdesk.core.redis import RedisError

TOKEN_BYTES = 8
DIGEST_BYTES = 16
MAXIMUM_VALUE_BYTES = 64 * 1024
# What Redis allocates for a value of that size beside its versions.
PLACE_BYTES = 80 * 1024


class Kind(StrEnum):
    """What a value is: values of one kind never take the place of another's."""

    PAGE = "page"
    COUNT = "count"


def get_or_compute(
    key: str, *, kind: Kind, scopes: Sequence[str], lifetime: timedelta, compute: Callable[[], bytes]
) -> bytes:
    """Return compute()'s bytes, or those stored under key since the last write to any of the scopes.

    One round trip when they are stored; without Redis it just computes. What exceeds MAXIMUM_VALUE_BYTES is not stored.
    """
    try:
        stamp, stored = read(key, kind, scopes)
    except RedisError:
        return compute()
    if stored is not None:
        return stored
    value = compute()
    if len(value) <= MAXIMUM_VALUE_BYTES:
        with suppress(RedisError), redis.connection() as client:
            client.set(value_key(key, kind), stamp + value, ex=lifetime)
    return value


def invalidate(*scopes: str) -> None:
    """Give the scopes new versions; call it after the commit. Raises RedisError."""
    with redis.connection() as client:
        client.mset({version_key(scope): secrets.token_hex(TOKEN_BYTES) for scope in scopes})


def read(key: str, kind: Kind, scopes: Sequence[str]) -> tuple[bytes, bytes | None]:
    """Return the present stamp, and the stored value if it bears it."""
    version_keys = [version_key(scope) for scope in scopes]
    with redis.connection() as client:
        run_id, (*versions, stored) = client.mget_in_run([*version_keys, value_key(key, kind)])
    if None in versions:
        return stamp_of(key, run_id, begin(version_keys)), None
    stamp = stamp_of(key, run_id, versions)
    return stamp, stored[len(stamp) :] if stored and stored.startswith(stamp) else None


def begin(version_keys: Sequence[str]) -> list[bytes | None]:
    """Give a version to the scopes that have none, and return those of all."""
    with redis.connection() as client, client.pipeline(transaction=True) as pipeline:
        for name in version_keys:
            pipeline.set(name, secrets.token_hex(TOKEN_BYTES), nx=True)
        pipeline.mget(version_keys)
        versions: list[bytes | None] = pipeline.execute()[-1]
    return versions


def stamp_of(key: str, run_id: bytes, versions: Sequence[bytes | None]) -> bytes:
    """Return what a current value of the key begins with."""
    return digest(key) + run_id + b"".join(version for version in versions if version)


def digest(key: str) -> bytes:
    return blake2b(key.encode(), digest_size=DIGEST_BYTES).digest()


def version_key(scope: str) -> str:
    return redis.key(f"version:{scope}")


def value_key(key: str, kind: Kind) -> str:
    places = max(1, settings.LIST_CACHE_BYTES // PLACE_BYTES)
    return redis.key(f"{kind}:{int.from_bytes(digest(key)) % places}")
