"""What a user wants to be told of, and by which medium: everything by all of them, until they say otherwise."""

from collections.abc import Mapping

from django.db import transaction

from helpdesk.tickets.models import ANNOUNCED_KINDS, Medium, Mute
from helpdesk.users.models import User


def preferences_of(user: User) -> dict[str, dict[str, bool]]:
    """Return, by kind and medium, whether a user wants it."""
    mutes = set(Mute.objects.filter(user=user).values_list("kind", "medium"))
    return {kind.value: {medium.value: (kind, medium) not in mutes for medium in Medium} for kind in ANNOUNCED_KINDS}


@transaction.atomic
def set_preferences(user: User, *, wanted: Mapping[str, Mapping[str, bool]]) -> None:
    """Set what `wanted` names, by kind and medium; the rest stays as it is."""
    for kind, media in wanted.items():
        for medium, is_wanted in media.items():
            if is_wanted:
                Mute.objects.filter(user=user, kind=kind, medium=medium).delete()
            else:
                mute(user, kind=kind, medium=medium)


def mute(user: User, *, kind: str, medium: str) -> None:
    Mute.objects.bulk_create([Mute(user=user, kind=kind, medium=medium)], ignore_conflicts=True)
