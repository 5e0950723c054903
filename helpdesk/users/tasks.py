"""What is tidied at night."""

from axes.models import AccessAttempt
from celery import shared_task
from django.conf import settings
from django.utils import timezone
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

from helpdesk.users import actions


@shared_task
def delete_expired_tokens() -> int:
    """Forget refresh tokens that nobody could use any more; returns how many."""
    deleted, _ = OutstandingToken.objects.filter(expires_at__lt=timezone.now()).delete()
    return deleted


@shared_task
def delete_expired_registrations() -> int:
    """Let go of usernames whose registration was not confirmed in time; returns how many."""
    return actions.delete_expired_registrations()


@shared_task
def delete_expired_address_changes() -> int:
    """Forget addresses that were not confirmed in time; returns how many."""
    return actions.delete_expired_address_changes()


@shared_task
def delete_old_login_failures() -> int:
    """Forget failed logins whose cool-off is over; returns how many."""
    deleted, _ = AccessAttempt.objects.filter(attempt_time__lt=timezone.now() - settings.AXES_COOLOFF_TIME).delete()
    return deleted
