"""OpenTelemetry spans of requests; imported only if OTEL_EXPORTER_OTLP_ENDPOINT is set."""

from collections.abc import Callable
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagate import extract
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode

from helpdesk.core.request_id import request_id
from helpdesk.monitoring.middleware import get_method, get_route


def start() -> None:
    """Export spans in the background, as OpenTelemetry's environment variables say."""
    # OTEL_SERVICE_NAME takes precedence.
    provider = TracerProvider(resource=Resource({"service.name": "helpdesk"}).merge(Resource.create()))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)


def trace_requests(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Trace a request by its method and route, without its path, query string, headers and body."""
    tracer = trace.get_tracer("helpdesk")

    def middleware(request: HttpRequest) -> HttpResponse:
        parent = extract({"traceparent": request.headers.get("traceparent", "")})
        method = get_method(request)
        with tracer.start_as_current_span(method, context=parent, kind=SpanKind.SERVER) as span:
            response = get_response(request)
            route = get_route(request)
            span.update_name(f"{method} {route}")
            span.set_attributes(
                {
                    "http.request.method": method,
                    "http.route": route,
                    "http.response.status_code": response.status_code,
                    "helpdesk.request_id": request_id(),
                }
            )
            if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
                span.set_status(StatusCode.ERROR)
        return response

    return middleware
