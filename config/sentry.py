"""Error reports to Sentry; imported only if SENTRY_DSN is set."""

from typing import Any

import sentry_sdk
from django.conf import settings
from sentry_sdk.types import Event, Hint

from helpdesk.core.request_id import request_id
from helpdesk.monitoring.logs import redact

# Not the body, the query string, the headers or the user.
REQUEST_FIELDS = ("method", "url")


def start() -> None:
    sentry_sdk.init(
        dsn=settings.SENTRY_DSN,
        environment=settings.SENTRY_ENVIRONMENT,
        send_default_pii=False,
        # They may contain passwords.
        include_local_variables=False,
        max_request_body_size="never",
        auto_session_tracking=False,
        before_send=remove_private_data,
    )


def remove_private_data(event: Event, hint: Hint) -> Event:
    request = event.get("request", {})
    event["request"] = {name: request[name] for name in REQUEST_FIELDS if name in request}
    event.setdefault("tags", {})["request_id"] = request_id()
    redacted: Event = redact_all(event)
    return redacted


def redact_all(value: Any) -> Any:
    match value:
        case str():
            return redact(value)
        case dict():
            return {name: redact_all(inner) for name, inner in value.items()}
        case list() | tuple():
            return [redact_all(inner) for inner in value]
        case _:
            return value
