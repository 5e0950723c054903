"""Probes of a process, the health of the whole helpdesk, and the metrics."""

from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_field
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from rest_framework import serializers
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from helpdesk.core.errors import RETRY_AFTER_SECONDS
from helpdesk.monitoring.health import Status, is_postgresql_available, is_redis_available, run_checks
from helpdesk.monitoring.metrics import format_metrics


@require_safe
@never_cache
def livez(request: HttpRequest) -> JsonResponse:
    """Liveness probe: does no I/O; a process that fails it must be restarted."""
    return JsonResponse({"status": Status.HEALTHY})


@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """Readiness probe: 503 without PostgreSQL; without Redis the status is "degraded", and requests are still served."""
    postgresql, redis = is_postgresql_available(), is_redis_available()
    status = Status.UNAVAILABLE if not postgresql else Status.HEALTHY if redis else Status.DEGRADED
    return JsonResponse(
        {"status": status, "postgresql": postgresql, "redis": redis},
        status=HTTPStatus.OK if postgresql else HTTPStatus.SERVICE_UNAVAILABLE,
    )


@extend_schema_field({"oneOf": [{"type": "number"}, {"type": "boolean"}], "nullable": True})
class ValueField(serializers.Field[Any, Any, Any, Any]):
    """A number, a boolean or null."""


class CheckResultSerializer(serializers.Serializer[Any]):
    value = ValueField(help_text="In the unit that the name ends in; null if unknown.")
    at_most = serializers.FloatField(allow_null=True, help_text="The largest healthy number; null if there is none.")
    healthy = serializers.BooleanField()


class HealthSerializer(serializers.Serializer[Any]):
    status = serializers.ChoiceField(choices=[(status.value, status.name) for status in Status])
    checks = serializers.DictField(
        child=CheckResultSerializer(), help_text="The results of the health checks by name."
    )


@method_decorator(never_cache, name="dispatch")
class HealthView(APIView):
    """The URL configuration sets who may read it."""

    @extend_schema(
        operation_id="health_retrieve",
        responses={
            200: OpenApiResponse(HealthSerializer, description="The helpdesk is healthy or degraded."),
            503: OpenApiResponse(HealthSerializer, description="PostgreSQL is not available."),
        },
    )
    def get(self, request: Request) -> Response:
        """Health of the helpdesk: whether its services respond, and the age of pending work."""
        report = run_checks()
        if report["status"] == Status.UNAVAILABLE:
            headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
            return Response(report, status=HTTPStatus.SERVICE_UNAVAILABLE, headers=headers)
        return Response(report)


class MetricsRenderer(BaseRenderer):
    media_type = "text/plain"
    format = "prometheus"
    charset = None

    def render(self, data: Any, *args: Any) -> Any:
        return data


@method_decorator(never_cache, name="dispatch")
class MetricsView(APIView):
    """The URL configuration sets who may read it."""

    renderer_classes = [MetricsRenderer]

    @extend_schema(exclude=True)
    def get(self, request: Request) -> Response:
        return Response(format_metrics(), content_type=CONTENT_TYPE_PLAIN_0_0_4)
