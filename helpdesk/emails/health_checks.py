"""Health checks of the outbox."""

from django.utils import timezone

from helpdesk.emails.heartbeat import get_sweep_age_seconds
from helpdesk.emails.models import Email, EmailState
from helpdesk.monitoring.health import MAX_COUNT, Service, health_check


@health_check(Service.POSTGRESQL, at_most=120)
def oldest_due_email_seconds() -> float:
    due_at = Email.objects.overdue().values_list("next_attempt_at", flat=True).first()
    return 0.0 if due_at is None else max(0.0, (timezone.now() - due_at).total_seconds())


@health_check(Service.POSTGRESQL, at_most=0)
def dead_emails() -> int:
    return count_emails(EmailState.DEAD)


@health_check(Service.POSTGRESQL)
def bounced_emails() -> int:
    return count_emails(EmailState.BOUNCED)


@health_check(Service.REDIS, at_most=60)
def email_sweep_age_seconds() -> float | None:
    return get_sweep_age_seconds()


def count_emails(state: EmailState) -> int:
    return Email.objects.filter(state=state).order_by()[:MAX_COUNT].count()
