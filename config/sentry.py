"""Errors go to Sentry: imported only when SENTRY_DSN is set."""

from typing import Any

import sentry_sdk
from django.conf import settings
from sentry_sdk.types import Event, Hint

from helpdesk.core.request_id import request_id
from helpdesk.monitoring.logs import redact

# The body, the query string, who asks from where: none of it is needed to find the cause.
TOLD_OF_A_REQUEST = ("method", "url")


def start() -> None:
    sentry_sdk.init(
        dsn=settings.SENTRY_DSN,
        environment=settings.SENTRY_ENVIRONMENT,
        send_default_pii=False,
        # They would hold passwords.
        include_local_variables=False,
        max_request_body_size="never",
        auto_session_tracking=False,
        before_send=without_what_is_private,
    )


def without_what_is_private(event: Event, hint: Hint) -> Event:
    request = event.get("request", {})
    event["request"] = {name: request[name] for name in TOLD_OF_A_REQUEST if name in request}
    event.setdefault("tags", {})["request_id"] = request_id()
    cleaned: Event = cleaned_of_secrets(event)
    return cleaned


def cleaned_of_secrets(value: Any) -> Any:
    match value:
        case str():
            return redact(value)
        case dict():
            return {name: cleaned_of_secrets(inner) for name, inner in value.items()}
        case list() | tuple():
            return [cleaned_of_secrets(inner) for inner in value]
        case _:
            return value
