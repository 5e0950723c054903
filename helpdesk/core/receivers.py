"""A migration gives up rather than have every request wait behind it."""

from typing import Any

from django.conf import settings
from django.db import connections
from django.db.models.signals import post_migrate, pre_migrate
from django.dispatch import receiver


@receiver(pre_migrate)
def wait_briefly_for_locks(using: str, **kwargs: Any) -> None:
    """Let what `migrate` runs wait for a lock for some seconds at most, until it is over."""
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, false)", [f"{settings.MIGRATION_LOCK_TIMEOUT_MS}ms"])


@receiver(post_migrate)
def wait_for_locks_as_before(using: str, **kwargs: Any) -> None:
    with connections[using].cursor() as cursor:
        cursor.execute("RESET lock_timeout")
