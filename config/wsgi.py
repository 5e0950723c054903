"""HTTP: an ordinary WSGI stack."""

import os
from collections.abc import Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from django.core.wsgi import get_wsgi_application

# More than the proxy lets through.
MAX_READ_BYTES = 4 * 1024 * 1024


def read_refused_bodies(application: WSGIApplication) -> WSGIApplication:
    """Read the body of a request that is answered 413.

    A server that closes a connection with an unread body resets it, and the proxy then answers 502 instead.
    """

    def reading(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        def start(status: str, *others: Any) -> Any:
            if status.startswith("413"):
                environ["wsgi.input"].read(MAX_READ_BYTES)
            return start_response(status, *others)

        return application(environ, start)

    return reading


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.local")

application = read_refused_bodies(get_wsgi_application())
