"""Nightly clean-ups."""

from helpdesk.core.cleanup import cleanup_task
from helpdesk.notifications.actions import delete_expired_notifications


@cleanup_task
def delete_old_notifications() -> int:
    """Delete the notifications that are older than NOTIFICATION_RETENTION; return how many there were."""
    return delete_expired_notifications()
