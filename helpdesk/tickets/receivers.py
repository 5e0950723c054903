"""What changes of users mean for tickets."""

from typing import Any

from django.dispatch import receiver

from helpdesk.tickets.actions import Origin, notify_announcer, unassign_tickets
from helpdesk.tickets.list_cache import USERS, invalidate_all_lists
from helpdesk.tickets.models import EventSource
from helpdesk.tickets.serializers import USER_COLUMNS
from helpdesk.users.models import User
from helpdesk.users.signals import user_changed


@receiver(user_changed)
def invalidate_lists(*, changed: frozenset[str], **kwargs: Any) -> None:
    """Invalidate all lists if they show what has changed; the announcer does it again once Redis answers."""
    if changed.intersection(USER_COLUMNS):
        invalidate_all_lists()
        notify_announcer(USERS)


@receiver(user_changed)
def take_tickets_from_former_agent(*, user: User, by: User, **kwargs: Any) -> None:
    if not user.is_agent:
        unassign_tickets(Origin(by, EventSource.ADMIN), user)
