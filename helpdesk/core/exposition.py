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

from helpdesk.core.metrics import counted, totals
from helpdesk.core.redis import RedisError
from helpdesk.core.vital_signs import Report, examine


class Everything(Collector):
    def collect(self) -> Iterator[Metric]:
        yield from gauges(examine())
        try:
            found = totals()
        except RedisError:
            # It is among the signs that it does not answer.
            return
        for one in counted:
            yield from one.families(found)


def gauges(report: Report) -> Iterator[Metric]:
    """Yield each sign under its name, but for those that are not known, and which of all are ok."""
    is_ok = GaugeMetricFamily("helpdesk_sign_ok", "Whether a vital sign is ok.", labels=["sign"])
    for name, reading in report["signs"].items():
        is_ok.add_metric([name], reading["ok"])
        if reading["value"] is not None:
            yield GaugeMetricFamily(f"helpdesk_{name}", "A vital sign: see operations.", reading["value"])
    yield is_ok


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
