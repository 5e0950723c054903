"""Metrics for Prometheus.

Each process has its own metrics, and Prometheus adds them up. `web` answers /metrics; processes without HTTP serve
theirs on METRICS_ADDRESS. A process that forks shares a directory with its children, PROMETHEUS_MULTIPROC_DIR.
"""

import os
from collections.abc import Iterator

from django.conf import settings
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram, generate_latest, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from helpdesk.monitoring.health import run_checks

REQUESTS = Counter("helpdesk_requests_total", "Responses by route and status.", ["method", "route", "status"])
REQUEST_SECONDS = Histogram("helpdesk_request_seconds", "Time to the response by route.", ["method", "route"])


class HealthCollector(Collector):
    """Gauges of the health checks, which run at each scrape."""

    def collect(self) -> Iterator[Metric]:
        healthy = GaugeMetricFamily(
            "helpdesk_check_healthy", "1 if a health check is healthy, else 0.", labels=["check"]
        )
        for name, result in run_checks()["checks"].items():
            healthy.add_metric([name], result["healthy"])
            if result["value"] is not None:
                yield GaugeMetricFamily(f"helpdesk_{name}", "Value of a health check.", result["value"])
        yield healthy


def get_registry() -> CollectorRegistry:
    """Return the metrics of this process, or of all processes that share PROMETHEUS_MULTIPROC_DIR."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call] # registers itself
    return registry


def format_metrics() -> bytes:
    """Return the health checks and the metrics in the text format of Prometheus."""
    checks = CollectorRegistry()
    checks.register(HealthCollector())
    return generate_latest(checks) + generate_latest(get_registry())


def serve_metrics() -> None:
    """Serve the metrics of a process without HTTP in a thread, if METRICS_ADDRESS is set."""
    if settings.METRICS_ADDRESS:
        host, _, port = settings.METRICS_ADDRESS.rpartition(":")
        start_http_server(int(port), host, get_registry())
