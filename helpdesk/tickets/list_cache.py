"""Keeps lists of tickets and comments for five minutes, and invalidates them with the write that changes them.

All agents share their pages; a customer has their own. Every page also depends on the users that it names. A cache key
is made of validated filters and the page number only, so nobody makes entries by inventing parameters.
"""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from django.conf import settings

from helpdesk.core.after_commit import after_commit
from helpdesk.core.versioned_cache import Kind, get_or_compute, invalidate
from helpdesk.users.models import User

USERS = "users"
AGENTS = "tickets:agents"


def get_or_compute_page(user: User, key: str, compute: Callable[[], bytes]) -> bytes:
    return get_or_compute_for(user, key, Kind.PAGE, compute)


def get_or_compute_count(user: User, key: str, compute: Callable[[], int]) -> int:
    return int(get_or_compute_for(user, key, Kind.COUNT, lambda: b"%d" % compute()))


def get_or_compute_for(user: User, key: str, kind: Kind, compute: Callable[[], bytes]) -> bytes:
    scope = AGENTS if user.is_agent else customer_scope(user.pk)
    return get_or_compute(
        f"{scope}:{key}",
        kind=kind,
        scopes=(USERS, scope),
        lifetime=settings.LIST_CACHE_LIFETIME,
        compute=compute,
    )


def cache_key(name: str, values: Mapping[str, Any]) -> str:
    """Return the key of a list that is narrowed by validated values; those that are empty make no difference."""
    return f"{name}?{urlencode(sorted((field, value) for field, value in values.items() if value not in (None, '')))}"


def invalidate_lists_with_tickets_of(creator_id: int) -> None:
    """Invalidate, after the commit, every list that a ticket of that creator can be in."""
    after_commit(invalidate, *scopes_with_tickets_of(creator_id))


def scopes_with_tickets_of(creator_id: int) -> tuple[str, str]:
    return AGENTS, customer_scope(creator_id)


def invalidate_all_lists() -> None:
    """Invalidate all lists after the commit."""
    after_commit(invalidate, USERS)


def customer_scope(customer_id: int) -> str:
    return f"tickets:customer:{customer_id}"
