"""Which web pages may open a socket."""

from collections.abc import Iterable
from urllib.parse import urlsplit

from django.conf import settings
from django.http.request import split_domain_port, validate_host


def is_allowed_origin(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Tell whether a handshake comes from a page in WEBSOCKET_ORIGINS (if empty, from our own host) or from no page."""
    values = {name: value.decode("latin-1") for name, value in headers}
    origin = values.get(b"origin")
    if origin is None:
        return bool(settings.WEBSOCKET_WITHOUT_ORIGIN)
    if settings.WEBSOCKET_ORIGINS:
        return origin in settings.WEBSOCKET_ORIGINS
    return is_own_host(origin, values.get(b"host", ""))


def is_own_host(origin: str, host: str) -> bool:
    try:
        netloc = urlsplit(origin).netloc
    except ValueError:
        return False
    domain, _port = split_domain_port(host)
    return bool(domain) and netloc == host and validate_host(domain, settings.ALLOWED_HOSTS)
