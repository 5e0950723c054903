"""A lock timeout for migrations: a migration that waits for a lock blocks the requests behind it."""

from typing import Any

from django.conf import settings
from django.db import connections
from django.db.models.signals import post_migrate, pre_migrate
from django.dispatch import receiver


@receiver(pre_migrate)
def set_lock_timeout(using: str, **kwargs: Any) -> None:
    """Set MIGRATION_LOCK_TIMEOUT_MS for the connection of `migrate`."""
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, false)", [f"{settings.MIGRATION_LOCK_TIMEOUT_MS}ms"])


@receiver(post_migrate)
def reset_lock_timeout(using: str, **kwargs: Any) -> None:
    with connections[using].cursor() as cursor:
        cursor.execute("RESET lock_timeout")
