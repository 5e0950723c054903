"""All that is counted and measured, as Prometheus reads it."""

from collections.abc import Iterator
from typing import Any

from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from drf_spectacular.utils import extend_schema
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector, CollectorRegistry
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from helpdesk.core.redis import RedisError
from helpdesk.monitoring.health import Report, run_checks
from helpdesk.monitoring.metrics import counted, totals


class Everything(Collector):
    def collect(self) -> Iterator[Metric]:
        yield from gauges(run_checks())
        try:
            found = totals()
        except RedisError:
            # redis_available says so.
            return
        for one in counted:
            yield from one.families(found)


def gauges(report: Report) -> Iterator[Metric]:
    """Yield each known value under the name of its check, and which checks are healthy."""
    is_healthy = GaugeMetricFamily("helpdesk_check_healthy", "Whether a health check is healthy.", labels=["check"])
    for name, result in report["checks"].items():
        is_healthy.add_metric([name], result["healthy"])
        if result["value"] is not None:
            yield GaugeMetricFamily(f"helpdesk_{name}", "A health check: see docs/operations.md.", result["value"])
    yield is_healthy


class ExpositionRenderer(BaseRenderer):
    media_type = "text/plain"
    format = "prometheus"
    charset = None

    def render(self, data: Any, *args: Any) -> Any:
        return data


@method_decorator(never_cache, name="dispatch")
class MetricsView(APIView):
    """The metrics; who may read them is said where it gets its address."""

    renderer_classes = [ExpositionRenderer]

    @extend_schema(exclude=True)
    def get(self, request: Request) -> Response:
        registry = CollectorRegistry()
        registry.register(Everything())
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)
