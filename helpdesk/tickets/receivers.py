"""Signal receivers: changes of users that affect tickets."""

from typing import Any

from django.dispatch import receiver

from helpdesk.core.after_commit import after_commit
from helpdesk.core.cached_lists import invalidate
from helpdesk.tickets.actions import Origin, notify_announcer, unassign_tickets
from helpdesk.tickets.models import ALL_LISTS, EventSource
from helpdesk.tickets.serializers import UserSummarySerializer
from helpdesk.users.models import User
from helpdesk.users.signals import user_changed


@receiver(user_changed)
def invalidate_lists(*, changed: frozenset[str], **kwargs: Any) -> None:
    """Invalidate all lists if they show a changed field; the announcer repeats it, for the case that Redis is down."""
    if changed.intersection(UserSummarySerializer.Meta.fields):
        after_commit(invalidate, ALL_LISTS)
        notify_announcer(ALL_LISTS)


@receiver(user_changed)
def unassign_former_agent(*, user: User, by: User, **kwargs: Any) -> None:
    if not user.is_agent:
        unassign_tickets(Origin(by, EventSource.ADMIN), user)
