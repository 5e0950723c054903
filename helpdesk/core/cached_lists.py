"""Pages of lists, kept in Redis as bytes; a write invalidates them at once without looking for them.

A list depends on scopes, such as the tickets of one customer. Each scope has a version in Redis, a random token that every
write replaces. A value is stored together with the versions that were read *before* it was computed, and is current only
while they are unchanged: what a slow reader stores after a write bears old versions. It also bears the run id of the server:
after a restart from a snapshot no older value is current.

Values are bounded in size and number: a hash of the key selects one of a fixed number of slots, which the latest value takes.
Nothing else in Redis is evicted for them.
"""

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any
from urllib.parse import urlencode

from django.conf import settings

from helpdesk.core import redis
from helpdesk.core.redis import RedisError

TOKEN_BYTES = 8
DIGEST_BYTES = 16
MAX_VALUE_BYTES = 64 * 1024
# What Redis allocates for a value of that size and its versions.
SLOT_BYTES = 80 * 1024
RECORD_SECONDS = 60
MAXIMUM_WAIT_SECONDS = 2.0

computations: "dict[bytes, Future[bytes]]" = {}
"""Values that threads of this process compute, by their stamps."""


@dataclass
class Entry:
    """The current value of a key, or None; `stamp` is None while Redis does not answer."""

    slot: str
    stamp: bytes | None
    value: bytes | None

    def get_or_compute(self, compute: Callable[[], bytes]) -> bytes:
        """Return the value, computed and stored if there is none: once for the threads of this process that miss it together.

        Those that wait have the same stamp, so no request gets a value from before it. After MAXIMUM_WAIT_SECONDS, or when the
        computation failed, each computes its own.
        """
        if self.value is not None:
            return self.value
        if self.stamp is None:
            return compute()
        computation: Future[bytes] = Future()
        running = computations.setdefault(self.stamp, computation)
        if running is not computation:
            try:
                return running.result(timeout=MAXIMUM_WAIT_SECONDS)
            except (CancelledError, TimeoutError):
                return compute()
        try:
            value = compute()
            computation.set_result(value)
            return self.store(value)
        finally:
            del computations[self.stamp]
            computation.cancel()

    def store(self, value: bytes) -> bytes:
        """Store and return a value computed since the entry was read; one over MAX_VALUE_BYTES is not stored."""
        if self.stamp is not None and len(value) <= MAX_VALUE_BYTES:
            with suppress(RedisError), redis.connection() as client:
                client.set(self.slot, self.stamp + value, ex=settings.LIST_CACHE_LIFETIME)
        return value


def read_page_and_count(
    name: str, *, scopes: Sequence[str], filters: Mapping[str, Any], page: int
) -> tuple[Entry, Entry]:
    """Return the entries of a page and of the number of rows on all pages, which all orderings share, in one round trip.

    `filters` are validated values, so that unknown parameters add no entries; empty ones make no difference.
    """
    keys = {
        "page": list_key(name, scopes, {**filters, "page": page}),
        "count": list_key(name, scopes, {**filters, "ordering": None}),
    }
    slots = [slot_for(kind, key) for kind, key in keys.items()]
    try:
        run_id, versions, stored = read_values(scopes, slots)
    except RedisError:
        return Entry(slots[0], None, None), Entry(slots[1], None, None)
    stamps = [digest(key) + run_id + versions for key in keys.values()]
    entries = [
        Entry(slot, stamp, value[len(stamp) :] if value and value.startswith(stamp) else None)
        for slot, stamp, value in zip(slots, stamps, stored, strict=True)
    ]
    return entries[0], entries[1]


def read_values(scopes: Sequence[str], slots: Sequence[str]) -> tuple[bytes, bytes, list[bytes | None]]:
    """Return the run id of the server, the versions of the scopes, and the content of the slots. Raises RedisError."""
    version_keys = [version_key(scope) for scope in scopes]
    with redis.connection() as client:
        run_id, values = client.mget_in_run([*version_keys, *slots])
        versions, stored = values[: len(scopes)], values[len(scopes) :]
        if None in versions:
            for key in version_keys:
                client.set(key, secrets.token_hex(TOKEN_BYTES), nx=True)
            _run_id, versions = client.mget_in_run(version_keys)
    return run_id, b"".join(version for version in versions if version), stored


def invalidate(*scopes: str, write_ids: Iterable[str] = ()) -> None:
    """Give the scopes new versions, and record that it was done for some writes; call it after their commit.

    Raises RedisError.
    """
    with redis.connection() as client, client.pipeline(transaction=False) as pipeline:
        pipeline.mset({version_key(scope): secrets.token_hex(TOKEN_BYTES) for scope in scopes})
        for write_id in write_ids:
            pipeline.set(record_key(write_id), 1, ex=RECORD_SECONDS)
        pipeline.execute()


def find_unrecorded(write_ids: Sequence[str]) -> set[str]:
    """Return the ids of the writes for which no invalidation was recorded in the last minute; all if Redis does not answer."""
    try:
        with redis.connection() as client:
            _run_id, records = client.mget_in_run([record_key(write_id) for write_id in write_ids])
    except RedisError:
        return set(write_ids)
    return {write_id for write_id, is_recorded in zip(write_ids, records, strict=True) if not is_recorded}


def list_key(name: str, scopes: Sequence[str], values: Mapping[str, Any]) -> str:
    parameters = sorted((field, value) for field, value in values.items() if value not in (None, ""))
    return f"{' '.join(scopes)} {name}?{urlencode(parameters)}"


def digest(key: str) -> bytes:
    return blake2b(key.encode(), digest_size=DIGEST_BYTES).digest()


def slot_for(kind: str, key: str) -> str:
    """Return the Redis key of the slot: values of one kind never take the slots of another's."""
    slots = max(1, settings.LIST_CACHE_BYTES // SLOT_BYTES)
    return redis.key(f"{kind}:{int.from_bytes(digest(key)) % slots}")


def version_key(scope: str) -> str:
    return redis.key(f"version:{scope}")


def record_key(write_id: str) -> str:
    return redis.key(f"invalidated:{write_id}")
