"""The connections of this process: one group subscription and one heartbeat query for all of them, and their number."""

import asyncio
import logging
import time
import uuid
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from random import uniform
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, cast
from weakref import WeakKeyDictionary

from channels import DEFAULT_CHANNEL_LAYER
from channels.db import database_sync_to_async
from channels.layers import channel_layers, get_channel_layer
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection as database

from helpdesk.core import redis
from helpdesk.core.redis import RedisError
from helpdesk.notifications.live.protocol import MAX_CONNECTIONS_PER_USER, PROCESSES

if TYPE_CHECKING:
    from helpdesk.notifications.live.connection import Connection

logger = logging.getLogger(__name__)

# In seconds.
KEEPALIVE_INTERVAL = 0.5
SILENCE_TIMEOUT = 5.0
RETRY_DELAY = 1.0
# All connections read the database within this time when messages may have been lost.
CATCH_UP_SPREAD = 2.0
HEARTBEAT_QUERIES_PER_INTERVAL = 25

REDIS_ERRORS = (RedisError, OSError)

# Connections read the database in these threads, each with a connection of its own: by default they share one thread.
database_threads = ThreadPoolExecutor(4, thread_name_prefix="websockets")

# The password hash is simplejwt's; ~>=~ and ~<~ compare as the index of jti does.
STALE_SESSIONS = """
    SELECT position - 1
    FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::bigint[])
        WITH ORDINALITY AS state (user_id, password_hash, session, last_seq, position)
    LEFT JOIN users_user AS owner ON owner.id = state.user_id
    LEFT JOIN notifications_stream AS stream ON stream.user_id = state.user_id
    WHERE owner.is_active IS NOT TRUE
        OR upper(md5(owner.password)) IS DISTINCT FROM password_hash
        OR coalesce(stream.last_seq, 0) <> state.last_seq
        OR NOT EXISTS (
            SELECT FROM token_blacklist_outstandingtoken
            WHERE jti ~>=~ (session || '.') AND jti ~<~ (session || '/')
        )
    ORDER BY position
"""

# Expired reports are deleted here and not where they are read: one may be renewed between the reading and the deletion.
STORE_REPORT = """
local reports = redis.call('HGETALL', KEYS[1])
for i = 1, #reports, 2 do
    if tonumber(string.match(reports[i + 1], '%S+$')) < tonumber(ARGV[4]) then
        redis.call('HDEL', KEYS[1], reports[i])
    end
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
"""


class SessionState(NamedTuple):
    """A connection's user, the password hash and the session of its token, and the last `seq` that it was sent."""

    user_id: int
    password_hash: str | None
    session: str
    last_seq: int


class Report(NamedTuple):
    """What a websocket process reports: its connections, and for how long it has received no keep-alive."""

    connections: int
    silence_seconds: float
    valid_until: float


class Hub:
    """The connections of one event loop; subscribes when it is created, with the first connection."""

    def __init__(self) -> None:
        self.connections: defaultdict[int, set[Connection]] = defaultdict(set)
        self.heartbeat_due: dict[Connection, float] = {}
        self.last_keepalive = 0
        self.keepalive_at = time.monotonic()
        self.name = uuid.uuid4().hex
        jobs = (self.receive_messages, self.report_connections, self.run_heartbeats)
        self.tasks = [asyncio.create_task(run_forever(job)) for job in jobs]

    def add(self, connection: "Connection") -> None:
        self.connections[connection.user_id].add(connection)
        self.heartbeat_due[connection] = next_heartbeat()

    def remove(self, connection: "Connection") -> None:
        self.heartbeat_due.pop(connection, None)
        if others := self.connections.get(connection.user_id):
            others.discard(connection)
            if not others:
                del self.connections[connection.user_id]

    def connections_of(self, user_id: int) -> tuple["Connection", ...]:
        return tuple(self.connections.get(user_id, ()))

    def close_excess(self, newcomer: "Connection") -> None:
        """Close those of a user's connections whose clients have been silent for longest, if one more is too many.

        A client whose network vanished leaves connections open for most of a minute, and returns before that. Only this
        process is counted: a count shared with others would outlive a crash, and then refuse those who return. Only
        open connections count: one with a revoked token closes no other.
        """
        others = [other for other in self.connections_of(newcomer.user_id) if other.is_open and other is not newcomer]
        others.sort(key=lambda other: other.answered_at)
        for other in others[: max(0, len(others) + 1 - MAX_CONNECTIONS_PER_USER)]:
            other.close_as_excess()

    async def receive_messages(self) -> None:
        """Receive until it fails; then renew the channel layer, so that the next call subscribes again."""
        try:
            await self.subscribe_and_receive(get_channel_layer())
        except REDIS_ERRORS as error:
            logger.warning("Redis unavailable: connections read the database at their heartbeats (%s)", error)
        finally:
            await renew_channel_layer()

    async def subscribe_and_receive(self, layer: Any) -> None:
        """Send what arrives to the connections; what was published before, they read from the database."""
        async with asyncio.timeout(SILENCE_TIMEOUT):
            channel = await layer.new_channel()
            await layer.group_add(PROCESSES, channel)
        self.last_keepalive = 0
        keepalives = asyncio.create_task(self.send_keepalives(layer, channel))
        self.catch_up_all()
        try:
            while True:
                async with asyncio.timeout(SILENCE_TIMEOUT):
                    message = await layer.receive(channel)
                await self.handle_message(message)
        finally:
            keepalives.cancel()

    async def send_keepalives(self, layer: Any, channel: str) -> None:
        """Send numbered messages to this process itself: the layer reconnects without reporting what was lost."""
        number = 0
        while True:
            number += 1
            with suppress(*REDIS_ERRORS):
                await layer.send(channel, {"keepalive": number})
            await asyncio.sleep(KEEPALIVE_INTERVAL)

    async def handle_message(self, message: dict[str, Any]) -> None:
        """Handle a keep-alive, or what `receivers.group_message` returns."""
        if "keepalive" in message:
            self.check_keepalive(message["keepalive"])
            return
        for user_id in message["changed_users"]:
            for connection in self.connections_of(user_id):
                connection.request_catch_up()
        for frame_head, recipients in message["events"]:
            for user_id, seq in recipients:
                for connection in self.connections_of(user_id):
                    await connection.run(connection.send_event(seq, frame_head))
            # Let the server write.
            await asyncio.sleep(0)

    def check_keepalive(self, number: int) -> None:
        """Have all connections catch up when keep-alives are missing: other messages may be missing, too."""
        self.keepalive_at = time.monotonic()
        if number != self.last_keepalive + 1:
            self.catch_up_all()
        self.last_keepalive = number

    def catch_up_all(self) -> None:
        loop = asyncio.get_running_loop()
        for connections in self.connections.values():
            for connection in connections:
                loop.call_later(uniform(0, CATCH_UP_SPREAD), connection.request_catch_up)  # noqa: S311 -- no secret

    async def report_connections(self) -> None:
        """Report regularly, from a thread: Redis may block it."""
        while True:
            count = sum(map(len, self.connections.values()))
            silence = time.monotonic() - self.keepalive_at
            with suppress(*REDIS_ERRORS):
                await asyncio.to_thread(store_report, self.name, count, silence_seconds=silence)
            await asyncio.sleep(settings.WEBSOCKET_COUNT_INTERVAL.total_seconds())

    async def run_heartbeats(self) -> None:
        """Give all connections their heartbeats, with one query for those that are due."""
        while True:
            await asyncio.sleep(settings.WEBSOCKET_HEARTBEAT.total_seconds() / HEARTBEAT_QUERIES_PER_INTERVAL)
            now = time.monotonic()
            due = [connection for connection, due_at in self.heartbeat_due.items() if due_at <= now]
            if not due:
                continue
            try:
                query = database_sync_to_async(find_stale_sessions, thread_sensitive=False, executor=database_threads)
                stale = set(await query([connection.session_state for connection in due]))
            except DatabaseError as error:
                logger.warning("PostgreSQL unavailable: %d heartbeats delayed (%s)", len(due), str(error).strip())
                continue
            for position, connection in enumerate(due):
                if connection in self.heartbeat_due:
                    self.heartbeat_due[connection] = next_heartbeat()
                    connection.heartbeat(is_stale=position in stale)


async def run_forever(job: Callable[[], Awaitable[None]]) -> NoReturn:
    """Run one of the hub's jobs again whenever it ends; nobody awaits it, so its exceptions are logged here."""
    while True:
        try:
            await job()
        except Exception:
            logger.exception("Hub job %s failed; restarting it", job.__name__)
        await asyncio.sleep(RETRY_DELAY)


async def renew_channel_layer() -> None:
    """Drop the subscriptions and connections of this loop; replace a layer that fails even at that."""
    try:
        async with asyncio.timeout(SILENCE_TIMEOUT):
            await get_channel_layer().flush()
    except Exception as error:  # noqa: BLE001 -- any failure has the same remedy
        logger.warning("Channel layer replaced (%r)", error)
        channel_layers.backends.pop(DEFAULT_CHANNEL_LAYER, None)


def next_heartbeat() -> float:
    return time.monotonic() + uniform(0.8, 1) * settings.WEBSOCKET_HEARTBEAT.total_seconds()  # noqa: S311 -- no secret


hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def get_hub() -> Hub:
    """Return the hub of the running event loop."""
    loop = asyncio.get_running_loop()
    if loop not in hubs:
        hubs[loop] = Hub()
    return hubs[loop]


def find_stale_sessions(states: Sequence[SessionState]) -> list[int]:
    """Return the positions of the states that no longer match the database: user, password, session or stream."""
    with database.cursor() as cursor:
        cursor.execute(STALE_SESSIONS, [list(column) for column in zip(*states, strict=True)])
        return [position for (position,) in cursor.fetchall()]


def store_report(process: str, connections: int, *, silence_seconds: float) -> None:
    """Store a process's report in Redis until three intervals have passed; raises RedisError."""
    valid: timedelta = 3 * settings.WEBSOCKET_COUNT_INTERVAL
    now = time.time()
    report = f"{connections} {silence_seconds} {now + valid.total_seconds()}"
    with redis.connection() as client:
        client.eval(STORE_REPORT, 1, reports_key(), process, report, valid // timedelta(milliseconds=1), now)


def valid_reports() -> list[Report]:
    """Return the reports of all websocket processes; raises RedisError."""
    with redis.connection() as client:
        stored = cast("list[bytes]", client.hvals(reports_key()))
    return [report for report in map(parse_report, stored) if report.valid_until >= time.time()]


def parse_report(text: bytes) -> Report:
    connections, silence_seconds, valid_until = text.split()
    return Report(int(connections), float(silence_seconds), float(valid_until))


def reports_key() -> str:
    return redis.key("websocket-processes")
