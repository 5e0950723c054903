from django.db.models import Q
from django.utils import timezone

from helpdesk.core.cleanup import cleanup_task, delete_in_ranges
from helpdesk.core.idempotency import RETENTION
from helpdesk.core.models import IdempotencyKey


@cleanup_task
def delete_expired_idempotency_keys() -> int:
    """Delete keys that have expired; return how many."""
    limit = timezone.now() - RETENTION
    return delete_in_ranges(IdempotencyKey.objects.filter(created_at__lt=limit), stop_at=Q(created_at__gte=limit))
