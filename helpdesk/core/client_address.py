"""The client's address, and its network, by which rate limits and the lockout count."""

from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address

from django.conf import settings
from django.http import HttpRequest
from rest_framework.request import Request

# A site has at least a /64, and each of its hosts may use all addresses in it (RFC 4291, RFC 6177).
IPV6_HOST_BITS = 64


def client_address(request: HttpRequest | Request) -> str:
    """Return the client's IP address; an IPv4-mapped IPv6 address (RFC 4291, 2.5.5.2) as IPv4.

    Behind n trusted proxies (TRUSTED_PROXIES) it is the n-th entry of X-Forwarded-For from the right: the client may have
    written those further left.
    """
    direct = str(request.META.get("REMOTE_ADDR") or "")
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    if 0 < settings.TRUSTED_PROXIES <= len(forwarded):
        with suppress(ValueError):
            return str(parse(forwarded[-settings.TRUSTED_PROXIES].strip()))
    with suppress(ValueError):
        return str(parse(direct))
    return direct


def client_network(request: HttpRequest | Request) -> str:
    """Return the IPv4 address, or the first address of the IPv6 /64: one client may use every address in it."""
    address = client_address(request)
    with suppress(ValueError):
        match parse(address):
            case IPv6Address() as long:
                return str(IPv6Address(int(long) >> IPV6_HOST_BITS << IPV6_HOST_BITS))
    return address


def parse(text: str) -> IPv4Address | IPv6Address:
    """Parse an address; raise ValueError if it is invalid."""
    address = ip_address(text)
    return getattr(address, "ipv4_mapped", None) or address
