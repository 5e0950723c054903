"""The vital signs and the metrics of the whole: who may read them, and what they look like."""

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer

from helpdesk.core.exposition import MetricsView
from helpdesk.core.health import HealthSerializer, HealthView
from helpdesk.users.authentication import AccessTokenAuthentication, HealthTokenAuthentication
from helpdesk.users.permissions import IsAgentOrMonitor

EXAMPLE = OpenApiExample(
    "Degraded",
    {
        "status": "degraded",
        "signs": {
            "postgresql_answers": {"value": True, "at_most": None, "ok": True},
            "redis_answers": {"value": True, "at_most": None, "ok": True},
            "oldest_unannounced_event_seconds": {"value": 0.2, "at_most": 30, "ok": True},
            "announcer_leads": {"value": True, "at_most": None, "ok": True},
            "open_websockets": {"value": 42, "at_most": None, "ok": True},
            "hub_silence_seconds": {"value": 0.4, "at_most": 30, "ok": True},
            "oldest_due_email_seconds": {"value": 340.5, "at_most": 120, "ok": False},
            "dead_emails": {"value": 0, "at_most": 0, "ok": True},
            "bounced_emails": {"value": 3, "at_most": None, "ok": True},
            "email_sweep_age_seconds": {"value": 351.8, "at_most": 60, "ok": False},
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
