"""Keeps lists of tickets and comments for five minutes, and outdates them with the write that changes them.

All agents share their pages; a customer has their own. Every page also depends on the people it names.
"""

from collections.abc import Callable
from urllib.parse import urlencode

from django.conf import settings
from rest_framework.request import Request

from helpdesk.core.after_commit import after_commit
from helpdesk.core.versioned_cache import cached, outdate
from helpdesk.users.authentication import current_user
from helpdesk.users.models import User

PEOPLE = "people"
AGENTS = "tickets:agents"


def cached_page(request: Request, compute: Callable[[], bytes]) -> bytes:
    """Return the page that the request asks for, a JSON document with absolute links."""
    return cached_for(current_user(request), request.build_absolute_uri(), compute)


def cached_count(request: Request, compute: Callable[[], int], *, but: frozenset[str]) -> int:
    """Return how many rows the request's filters let through, whatever the parameters named by `but`."""
    filters = sorted((name, request.query_params[name]) for name in request.query_params if name not in but)
    key = f"count:{request.path}?{urlencode(filters)}"
    return int(cached_for(current_user(request), key, lambda: b"%d" % compute()))


def cached_for(user: User, key: str, compute: Callable[[], bytes]) -> bytes:
    scope = AGENTS if user.is_agent else customer_scope(user.pk)
    return cached(
        f"{scope}:{key}",
        scopes=(PEOPLE, scope),
        lifetime=settings.LIST_CACHE_LIFETIME,
        compute=compute,
    )


def outdate_lists_with_tickets_of(creator_id: int) -> None:
    """Outdate, after the commit, every list that a ticket of that creator can stand in."""
    after_commit(outdate, *scopes_with_tickets_of(creator_id))


def scopes_with_tickets_of(creator_id: int) -> tuple[str, str]:
    return AGENTS, customer_scope(creator_id)


def outdate_lists_naming_people() -> None:
    """Outdate all lists after the commit: a user's name, or what they may see, has changed."""
    after_commit(outdate, PEOPLE)


def customer_scope(customer_id: int) -> str:
    return f"tickets:customer:{customer_id}"
