"""Clean-up tasks; each returns the number of rows that it has deleted."""

from helpdesk.core.cleanup import cleanup_task
from helpdesk.users import actions


@cleanup_task
def delete_expired_tokens() -> int:
    return actions.delete_expired_tokens()


@cleanup_task
def delete_expired_sessions() -> int:
    return actions.delete_expired_sessions()


@cleanup_task
def delete_expired_registrations() -> int:
    return actions.delete_expired_registrations()


@cleanup_task
def delete_expired_address_changes() -> int:
    return actions.delete_expired_address_changes()


@cleanup_task
def delete_old_login_failures() -> int:
    return actions.delete_old_login_failures()
