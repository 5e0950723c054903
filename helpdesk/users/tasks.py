"""What is tidied at night."""

from helpdesk.core.cleanup import cleanup_task
from helpdesk.users import actions


@cleanup_task
def delete_expired_tokens() -> int:
    """Delete refresh tokens that nobody could use any more; returns how many."""
    return actions.delete_expired_tokens()


@cleanup_task
def delete_expired_sessions() -> int:
    """Delete the admin's sessions that have ended; returns how many."""
    return actions.delete_expired_sessions()


@cleanup_task
def delete_expired_registrations() -> int:
    """Let go of usernames whose registration was not confirmed in time; returns how many."""
    return actions.delete_expired_registrations()


@cleanup_task
def delete_expired_address_changes() -> int:
    """Delete addresses that were not confirmed in time; returns how many."""
    return actions.delete_expired_address_changes()


@cleanup_task
def delete_old_login_failures() -> int:
    """Delete failed logins whose cool-off is over; returns how many."""
    return actions.delete_old_login_failures()
