"""What shows that the helpdesk does its work: the age of what waits, rather than the number of errors.

Each app registers its signs in its own vital_signs.py, which is found as Django finds admin.py. They are read in one
place, for the API and for `manage.py doctor`.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypedDict, TypeVar

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection

from helpdesk.core import redis
from helpdesk.core.backups import newest_backup_age_seconds

logger = logging.getLogger(__name__)

Value = float | bool | None
Measure = TypeVar("Measure", bound=Callable[[], Value])

# No sign counts further: a number that grows with the trouble must not cost more with it.
MOST_COUNTED = 1_000


class Service(StrEnum):
    POSTGRESQL = "postgresql"
    REDIS = "redis"


class Status(StrEnum):
    OK = "ok"
    DEGRADED = "degraded"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True)
class VitalSign:
    measure: Callable[[], Value]
    service: Service
    at_most: float | None


class Reading(TypedDict):
    """A sign's value, null when it is not known; a number is ok up to `at_most`, null when it is for information."""

    value: Value
    at_most: float | None
    ok: bool


class Report(TypedDict):
    status: Status
    signs: dict[str, Reading]


signs: dict[str, VitalSign] = {}


def vital_sign(service: Service, *, at_most: float | None = None) -> Callable[[Measure], Measure]:
    """Register a function as the sign of its name: one cheap question to the service, however many rows there are."""

    def register(measure: Measure) -> Measure:
        signs[measure.__name__] = VitalSign(measure, service, at_most)
        return measure

    return register


def examine() -> Report:
    """Read every sign; a service that does not answer is asked once, and what it alone knows is null."""
    answers = {Service.POSTGRESQL: answers_postgresql(), Service.REDIS: answers_redis()}
    readings = {f"{service}_answers": reading(answers[service]) for service in Service}
    for name, sign in signs.items():
        readings[name] = reading(measured(name, sign) if answers[sign.service] else None, at_most=sign.at_most)
    if settings.BACKUP_STATUS_FILE:
        maximum = settings.BACKUP_MAXIMUM_AGE.total_seconds()
        readings["newest_backup_age_seconds"] = reading(newest_backup_age_seconds(), at_most=maximum)
    if not answers[Service.POSTGRESQL]:
        return {"status": Status.UNAVAILABLE, "signs": readings}
    is_well = all(one["ok"] for one in readings.values())
    return {"status": Status.OK if is_well else Status.DEGRADED, "signs": readings}


def reading(value: Value, *, at_most: float | None = None) -> Reading:
    is_ok = value is not None and value is not False and (at_most is None or value <= at_most)
    return {"value": value, "at_most": at_most, "ok": is_ok}


def measured(name: str, sign: VitalSign) -> Value:
    try:
        value = sign.measure()
    except (DatabaseError, redis.RedisError) as error:
        logger.warning("%s is not known: %s", name, str(error).strip())
        return None
    return round(value, 1) if isinstance(value, float) else value


def answers_postgresql() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return False
    return True


def answers_redis() -> bool:
    try:
        with redis.connection() as client:
            return bool(client.ping())
    except redis.RedisError:
        return False
