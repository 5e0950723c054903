"""Who may read the health checks and the metrics; an example for the API documentation."""

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer

from helpdesk.monitoring.views import HealthSerializer, HealthView, MetricsView
from helpdesk.users.authentication import AccessTokenAuthentication, HealthTokenAuthentication
from helpdesk.users.permissions import IsAgentOrMonitor

EXAMPLE = OpenApiExample(
    "Degraded",
    {
        "status": "degraded",
        "checks": {
            "postgresql_available": {"value": True, "at_most": None, "healthy": True},
            "redis_available": {"value": True, "at_most": None, "healthy": True},
            "oldest_unannounced_event_seconds": {"value": 0.2, "at_most": 30, "healthy": True},
            "announcer_has_leader": {"value": True, "at_most": None, "healthy": True},
            "open_websockets": {"value": 42, "at_most": None, "healthy": True},
            "hub_silence_seconds": {"value": 0.4, "at_most": 30, "healthy": True},
            "oldest_due_email_seconds": {"value": 340.5, "at_most": 120, "healthy": False},
            "dead_emails": {"value": 0, "at_most": 0, "healthy": True},
            "bounced_emails": {"value": 3, "at_most": None, "healthy": True},
            "email_sweep_age_seconds": {"value": 351.8, "at_most": 60, "healthy": False},
        },
    },
    response_only=True,
    status_codes=["200"],
)

extend_schema_serializer(examples=[EXAMPLE])(HealthSerializer)

READERS = {
    "authentication_classes": [HealthTokenAuthentication, AccessTokenAuthentication],
    "permission_classes": [IsAgentOrMonitor],
}

health = HealthView.as_view(**READERS)
metrics = MetricsView.as_view(**READERS)
