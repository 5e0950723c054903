"""Whether a process is alive, and whether it can work: for proxies and orchestrators, who need no token."""

from http import HTTPStatus

from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from helpdesk.core import redis


@require_safe
@never_cache
def livez(request: HttpRequest) -> JsonResponse:
    """Answer without any I/O: a failure means that the process must be restarted."""
    return JsonResponse({"status": "ok"})


@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """Answer 503 without PostgreSQL, which all work needs; Redis, which costs speed alone, makes it "degraded"."""
    postgresql, redis_answers = answers_postgresql(), answers_redis()
    status = "unavailable" if not postgresql else "ok" if redis_answers else "degraded"
    return JsonResponse(
        {"status": status, "postgresql": postgresql, "redis": redis_answers},
        status=HTTPStatus.OK if postgresql else HTTPStatus.SERVICE_UNAVAILABLE,
    )


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
