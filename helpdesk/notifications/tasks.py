"""What is tidied at night."""

from helpdesk.core.cleanup import cleanup_task
from helpdesk.notifications.retention import delete_old


@cleanup_task
def delete_old_notifications() -> int:
    """Forget what users were told long ago; returns how many notifications."""
    return delete_old()
