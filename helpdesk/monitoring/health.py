"""Health checks: mostly the age of pending work, since whatever fails is retried.

Each app registers its checks in its module `health_checks`, which is imported at start-up. The API, the metrics and
`manage.py health` report their results.
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
from helpdesk.monitoring.backups import newest_backup_age_seconds

logger = logging.getLogger(__name__)

Value = float | bool | None
Check = TypeVar("Check", bound=Callable[[], Value])

# Checks that count rows stop here, so that a check stays cheap however many rows there are.
MAX_COUNT = 1_000


class Service(StrEnum):
    POSTGRESQL = "postgresql"
    REDIS = "redis"


class Status(StrEnum):
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True)
class HealthCheck:
    measure: Callable[[], Value]
    service: Service
    at_most: float | None


class CheckResult(TypedDict):
    """`value` is None if unknown; a known number is healthy up to `at_most`, at any value if `at_most` is None."""

    value: Value
    at_most: float | None
    healthy: bool


class Report(TypedDict):
    status: Status
    checks: dict[str, CheckResult]


registry: dict[str, HealthCheck] = {}


def health_check(service: Service, *, at_most: float | None = None) -> Callable[[Check], Check]:
    """Register a function as the check of its name. It sends one cheap query to the service."""

    def register(measure: Check) -> Check:
        registry[measure.__name__] = HealthCheck(measure, service, at_most)
        return measure

    return register


def run_checks() -> Report:
    """Run every check; those of a service that does not respond are skipped, their values are None."""
    available = {Service.POSTGRESQL: is_postgresql_available(), Service.REDIS: is_redis_available()}
    results = {f"{service}_available": to_result(available[service]) for service in Service}
    for name, check in registry.items():
        value = measure(name, check) if available[check.service] else None
        results[name] = to_result(value, at_most=check.at_most)
    if settings.BACKUP_STATUS_FILE:
        maximum = settings.BACKUP_MAXIMUM_AGE.total_seconds()
        results["newest_backup_age_seconds"] = to_result(newest_backup_age_seconds(), at_most=maximum)
    if not available[Service.POSTGRESQL]:
        return {"status": Status.UNAVAILABLE, "checks": results}
    is_healthy = all(result["healthy"] for result in results.values())
    return {"status": Status.HEALTHY if is_healthy else Status.DEGRADED, "checks": results}


def to_result(value: Value, *, at_most: float | None = None) -> CheckResult:
    is_healthy = value is not None and value is not False and (at_most is None or value <= at_most)
    return {"value": value, "at_most": at_most, "healthy": is_healthy}


def measure(name: str, check: HealthCheck) -> Value:
    try:
        value = check.measure()
    except (DatabaseError, redis.RedisError) as error:
        logger.warning("Health check %s failed: %s", name, str(error).strip())
        return None
    return round(value, 1) if isinstance(value, float) else value


def is_postgresql_available() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return False
    return True


def is_redis_available() -> bool:
    try:
        with redis.connection() as client:
            return bool(client.ping())
    except redis.RedisError:
        return False
