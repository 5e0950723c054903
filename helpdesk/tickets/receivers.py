"""What tickets hear from users."""

from typing import Any

from django.dispatch import receiver

from helpdesk.tickets.actions import Origin, unassign_tickets
from helpdesk.tickets.list_cache import outdate_lists_naming_people
from helpdesk.tickets.models import EventSource
from helpdesk.users.models import User
from helpdesk.users.signals import user_changed


@receiver(user_changed)
def outdate_lists(**kwargs: Any) -> None:
    outdate_lists_naming_people()


@receiver(user_changed)
def take_tickets_from_former_agent(*, user: User, by: User, **kwargs: Any) -> None:
    if not user.is_agent:
        unassign_tickets(Origin(by, EventSource.ADMIN), user)
