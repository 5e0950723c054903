"""Which kinds of e-mail a user wants: all of them, until they say otherwise."""

from collections.abc import Mapping

from helpdesk.emails.models import Unsubscription
from helpdesk.tickets.audience import ANNOUNCED_KINDS
from helpdesk.users.models import User


def preferences_of(user: User) -> dict[str, bool]:
    unwanted = set(Unsubscription.objects.filter(user=user).values_list("kind", flat=True))
    return {kind.value: kind.value not in unwanted for kind in ANNOUNCED_KINDS}


def set_preferences(user: User, wanted: Mapping[str, bool]) -> None:
    for kind, is_wanted in wanted.items():
        if is_wanted:
            Unsubscription.objects.filter(user=user, kind=kind).delete()
        else:
            unsubscribe(user, kind)


def unsubscribe(user: User, kind: str) -> None:
    Unsubscription.objects.bulk_create([Unsubscription(user=user, kind=kind)], ignore_conflicts=True)
