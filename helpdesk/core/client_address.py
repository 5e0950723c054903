"""The client's address, and the network that limits and the lock-out count."""

from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address

from django.conf import settings
from django.http import HttpRequest
from rest_framework.request import Request

# A site has a /64 at least, and each of its hosts all the addresses in it (RFC 4291, RFC 6177).
IPV6_HOST_BITS = 64


def client_address(request: HttpRequest | Request) -> str:
    """Return the client's IP address; an IPv4 address that is written as an IPv6 one (RFC 4291, 2.5.5.2) as IPv4.

    Behind n trusted proxies (TRUSTED_PROXIES) that is the n-th X-Forwarded-For entry from the right: whatever
    stands further left was written by the client itself.
    """
    direct = str(request.META.get("REMOTE_ADDR") or "")
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    if 0 < settings.TRUSTED_PROXIES <= len(forwarded):
        with suppress(ValueError):
            return str(parsed(forwarded[-settings.TRUSTED_PROXIES].strip()))
    with suppress(ValueError):
        return str(parsed(direct))
    return direct


def client_network(request: HttpRequest | Request) -> str:
    """Return what one client may have many addresses of: an IPv4 address, or the first address of an IPv6 /64."""
    address = client_address(request)
    with suppress(ValueError):
        match parsed(address):
            case IPv6Address() as long:
                return str(IPv6Address(int(long) >> IPV6_HOST_BITS << IPV6_HOST_BITS))
    return address


def parsed(text: str) -> IPv4Address | IPv6Address:
    """Return the address in a text. Raises ValueError."""
    address = ip_address(text)
    return getattr(address, "ipv4_mapped", None) or address
