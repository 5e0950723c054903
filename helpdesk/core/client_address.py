"""Whose request is it? One answer for limits, lock-out and audit."""

from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest
from rest_framework.request import Request


def client_address(request: HttpRequest | Request) -> str:
    """Return the client's IP address.

    Behind n trusted proxies (TRUSTED_PROXIES) that is the n-th X-Forwarded-For entry from the right: whatever
    stands further left was written by the client itself.
    """
    direct = str(request.META.get("REMOTE_ADDR") or "")
    if not settings.TRUSTED_PROXIES:
        return direct
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    if len(forwarded) < settings.TRUSTED_PROXIES:
        return direct
    try:
        return str(ip_address(forwarded[-settings.TRUSTED_PROXIES].strip()))
    except ValueError:
        return direct
