"""Whether a process is alive, whether it can work, and whether the whole does its work."""

from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from helpdesk.core.errors import RETRY_AFTER_SECONDS
from helpdesk.core.vital_signs import Status, answers_postgresql, answers_redis, examine


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
    status = Status.UNAVAILABLE if not postgresql else Status.OK if redis_answers else Status.DEGRADED
    return JsonResponse(
        {"status": status, "postgresql": postgresql, "redis": redis_answers},
        status=HTTPStatus.OK if postgresql else HTTPStatus.SERVICE_UNAVAILABLE,
    )


@extend_schema_field({"oneOf": [{"type": "number"}, {"type": "boolean"}], "nullable": True})
class ValueField(serializers.Field[Any, Any, Any, Any]):
    """A number, true or false, or null."""


class ReadingSerializer(serializers.Serializer[Any]):
    value = ValueField(help_text="In the unit that the name ends in; null when it is not known.")
    at_most = serializers.FloatField(allow_null=True, help_text="The number up to which it is ok; null for any.")
    ok = serializers.BooleanField()


class HealthSerializer(serializers.Serializer[Any]):
    status = serializers.ChoiceField(choices=[(status.value, status.name) for status in Status])
    signs = serializers.DictField(child=ReadingSerializer(), help_text="The vital signs by their names.")


@method_decorator(never_cache, name="dispatch")
class HealthView(APIView):
    """The vital signs; who may read them is said where it gets its address."""

    @extend_schema(
        operation_id="health_retrieve",
        responses={
            200: OpenApiResponse(HealthSerializer, description="The helpdesk works, perhaps not all of it."),
            503: OpenApiResponse(HealthSerializer, description="PostgreSQL does not answer."),
        },
    )
    def get(self, request: Request) -> Response:
        """Whether the helpdesk does its work: the age of what waits, and who is alive."""
        report = examine()
        if report["status"] == Status.UNAVAILABLE:
            headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
            return Response(report, status=HTTPStatus.SERVICE_UNAVAILABLE, headers=headers)
        return Response(report)
