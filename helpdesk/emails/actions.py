"""Everything that changes the outbox: enqueue, claim by lease, record the outcome of an attempt, resend, clean up."""

import logging
import random
import uuid
from collections.abc import Collection, Sequence
from datetime import timedelta
from operator import attrgetter
from typing import Any, cast

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone
from prometheus_client import Counter

from helpdesk.core.after_commit import after_commit
from helpdesk.core.cleanup import delete_in_ranges
from helpdesk.emails.messages import get_account_subject, get_ticket_subject
from helpdesk.emails.models import Attempt, Email, EmailKind, EmailState, Outcome
from helpdesk.subscriptions.models import Channel
from helpdesk.subscriptions.recipients import Announcement

logger = logging.getLogger(__name__)

EMAILS = Counter("helpdesk_emails_total", "Attempts to send an e-mail, by outcome.", ["kind", "outcome"])

MAXIMUM_ATTEMPTS = 24
MAXIMUM_RETRY_DELAY = timedelta(hours=1)
RETENTION = timedelta(days=90)
LEASES_PER_SWEEP = 1_000
INTERRUPTED = "The attempt was interrupted: the worker was killed or paused, or lost PostgreSQL."
# "MAIL" in ASCII; any number that nothing else in this database uses for an advisory lock.
SWEEP_LOCK = 0x4D41494C

# ON CONFLICT: an event that is announced again gets no second e-mail.
ENQUEUE = """
    INSERT INTO emails_email
        (uuid, event_id, request_id, kind, subject, recipient_id, address, language, state, error, attempts)
    SELECT gen_random_uuid(), event_id, request_id, kind, subject, user_id, email, language, 'pending', '', 0
    FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[], %s::bigint[])
        AS new (event_id, request_id, kind, subject, user_id)
    JOIN users_user AS recipient ON recipient.id = user_id
    ON CONFLICT (event_id, recipient_id) DO NOTHING
    RETURNING id
"""
COLUMNS = ", ".join(str(field.column) for field in Email._meta.concrete_fields)  # noqa: SLF001 -- Django's public API
# One statement and the clock of the database: of concurrent workers a single one gets each row. None waits for another:
# what is locked is being claimed or ended.
CLAIM = f"""
    UPDATE emails_email SET lease_until = STATEMENT_TIMESTAMP() + %(lease)s
    WHERE id IN (
        SELECT id FROM emails_email
        WHERE id = ANY(%(ids)s) AND state = 'pending' AND attempts < %(maximum)s
            AND next_attempt_at <= STATEMENT_TIMESTAMP()
            AND (lease_until IS NULL OR lease_until <= STATEMENT_TIMESTAMP())
        FOR NO KEY UPDATE SKIP LOCKED
    )
    RETURNING {COLUMNS}
"""  # noqa: S608 -- made of constants
# The end of a lease identifies it: that of a later one is later.
START_ATTEMPT = """
    WITH started AS (
        UPDATE emails_email SET attempts = attempts + 1
        WHERE id = %(id)s AND uuid = %(uuid)s AND state = 'pending' AND lease_until = %(lease_until)s
        RETURNING id, attempts, lease_until - %(reserve)s - STATEMENT_TIMESTAMP() AS left
    ), attempt AS (
        INSERT INTO emails_attempt (email_id, outcome, error) SELECT id, 'pending', '' FROM started RETURNING id
    )
    SELECT attempt.id, started.attempts, started.left FROM attempt, started
"""
MARK_SENT = """
    WITH sent AS (
        UPDATE emails_email
        SET state = 'sent', sent_at = STATEMENT_TIMESTAMP(), lease_until = NULL, error = '',
            address = %(address)s, recipient_id = %(recipient)s
        WHERE id = %(id)s AND uuid = %(uuid)s AND state = 'pending'
    )
    UPDATE emails_attempt
    SET outcome = CASE WHEN id = %(attempt)s THEN 'sent' ELSE 'failed' END,
        error = CASE WHEN id = %(attempt)s THEN '' ELSE %(interrupted)s END
    WHERE email_id = %(id)s AND (id = %(attempt)s OR outcome = 'pending')
"""


def enqueue_ticket_emails(announcements: Sequence[Announcement]) -> list[int]:
    """Insert one row for each event and each of its recipients by e-mail, with one query; return the ids of the rows."""
    rows = [
        (event.pk, event.request_id, event.kind, subject, user_id)
        for event, _ticket, recipients in announcements
        for subject in [get_ticket_subject(event)]
        for user_id in recipients[Channel.EMAIL]
    ]
    if not rows:
        return []
    with connection.cursor() as cursor:
        cursor.execute(ENQUEUE, [list(column) for column in zip(*rows, strict=True)])
        return [email_id for (email_id,) in cursor.fetchall()]


def enqueue_account_email(kind: EmailKind, *, address: str, language: str, **fields: Any) -> int:
    """Insert a row for an address and return its id; `fields` are others of the model, such as `registration`.

    Without a `recipient`, the user who has the address is looked up when the e-mail is sent.
    """
    subject = get_account_subject(kind, language)
    return Email.objects.create(kind=kind, address=address, language=language, subject=subject, **fields).pk


@transaction.atomic
def claim(email_ids: Sequence[int]) -> list[Email]:
    """Lease to the caller, for EMAIL_LEASE, those of the e-mails that are due and not leased, and return them.

    No attempt is counted before `start_attempt`: a worker that is killed costs none to those whose turn had not come.
    """
    parameters = {"ids": list(email_ids), "lease": settings.EMAIL_LEASE, "maximum": MAXIMUM_ATTEMPTS}
    emails = sorted(Email.objects.raw(CLAIM, parameters), key=attrgetter("next_attempt_at", "pk"))
    fail_interrupted_attempts([email.pk for email in emails])
    return emails


def start_attempt(email: Email) -> timedelta | None:
    """Start an attempt, and return how long a claimed e-mail may be sent now, by the database's clock.

    The last third of the lease is reserved for `mark_sent`: zero or negative if only that is left. None, and no attempt,
    if the lease is not the caller's any more.
    """
    parameters: dict[str, Any] = {
        "id": email.pk,
        "uuid": email.uuid,
        "lease_until": email.lease_until,
        "reserve": settings.EMAIL_LEASE / 3,
    }
    with connection.cursor() as cursor:
        cursor.execute(START_ATTEMPT, parameters)
        row = cursor.fetchone()
    if row is None:
        return None
    email.attempt_id, email.attempts, left = row
    return cast("timedelta", left)


def mark_sent(email: Email) -> None:
    """Record that the SMTP server has accepted the message, even if the lease has ended in the meantime."""
    parameters: dict[str, Any] = {
        "id": email.pk,
        "uuid": email.uuid,
        "address": email.address,
        "recipient": email.recipient_id,
        "attempt": email.attempt_id,
        "interrupted": INTERRUPTED,
    }
    with connection.cursor() as cursor:
        cursor.execute(MARK_SENT, parameters)
    after_commit(log_outcome, email, EmailState.SENT)


def cancel(email: Email, *, reason: str) -> None:
    """End it unsent: the recipient should not get it any more."""
    end_unsent(email, EmailState.CANCELLED, reason)


def mark_bounced(email: Email, *, error: str) -> None:
    """End it unsent: the SMTP server has permanently refused the recipient or the message."""
    end_unsent(email, EmailState.BOUNCED, error)


def mark_dead(email: Email, *, error: str) -> None:
    """End it unsent: it cannot be rendered or sent, or has no attempts left."""
    end_unsent(email, EmailState.DEAD, error)


@transaction.atomic
def end_unsent(email: Email, state: EmailState, error: str) -> None:
    leased_rows(email).update(state=state, error=error, lease_until=None)
    end_attempt(email, Outcome.FAILED, error)
    after_commit(log_outcome, email, state)


@transaction.atomic
def retry_later(email: Email, *, error: str, outcome: str = "retry") -> None:
    """Make it due again after `get_retry_delay`, or mark it dead if it has no attempts left."""
    if email.attempts >= MAXIMUM_ATTEMPTS:
        mark_dead(email, error=error)
        return
    due_at = Now() + get_retry_delay(email.attempts)
    leased_rows(email).update(next_attempt_at=due_at, error=error, lease_until=None)
    end_attempt(email, Outcome.FAILED, error)
    after_commit(log_outcome, email, outcome)


def release_lease(email: Email, *, error: str) -> None:
    """Return an e-mail whose turn had come, and that was not handed to the SMTP server.

    It waits like after a failed attempt, so that the attempts outlast an outage of PostgreSQL, too.
    """
    if email.attempt_id or start_attempt(email) is not None:
        retry_later(email, error=error, outcome="released")


def release_unstarted(emails: Collection[Email]) -> None:
    """Return claimed e-mails whose turn has not come: they are due at once, and it costs them no attempt."""
    lease_ends = {email.lease_until for email in emails}
    ids = [email.pk for email in emails]
    Email.objects.pending().filter(pk__in=ids, lease_until__in=lease_ends).update(lease_until=None)


def get_retry_delay(attempts: int) -> timedelta:
    """Return EMAIL_RETRY_DELAY doubled by each further attempt, at most an hour, minus a random quarter at most."""
    delay: timedelta = min(settings.EMAIL_RETRY_DELAY * 2 ** (attempts - 1), MAXIMUM_RETRY_DELAY)
    return delay * random.uniform(0.75, 1)  # noqa: S311 -- no secret


def try_sweep_lock() -> bool:
    """Take the lock of the sweep until the transaction ends; False if another sweep has it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [SWEEP_LOCK])
        return bool(cursor.fetchone()[0])


@transaction.atomic
def release_expired_leases() -> None:
    """Fail the interrupted attempts whose lease has ended, so that their e-mails are due."""
    expired = Email.objects.pending().filter(lease_until__lte=Now()).select_for_update(skip_locked=True)
    email_ids = list(expired.values_list("pk", flat=True)[:LEASES_PER_SWEEP])
    fail_interrupted_attempts(email_ids)
    Email.objects.filter(pk__in=email_ids).update(lease_until=None)


def fail_exhausted() -> None:
    """Mark dead the e-mails whose last possible attempt was interrupted."""
    exhausted = Email.objects.pending().unleased().filter(attempts__gte=MAXIMUM_ATTEMPTS)
    exhausted.update(state=EmailState.DEAD, error=INTERRUPTED, lease_until=None)


def resend(email: Email) -> None:
    """Make a pending e-mail due now; make one that has ended pending again, with a new Message-ID and all attempts.

    Mail servers drop a message whose Message-ID they have seen.
    """
    Email.objects.pending().filter(pk=email.pk).update(next_attempt_at=Now())
    fields = {"state": EmailState.PENDING, "uuid": uuid.uuid4(), "attempts": 0, "sent_at": None, "error": ""}
    Email.objects.filter(pk=email.pk).exclude(state=EmailState.PENDING).update(**fields, next_attempt_at=Now())


def delete_old_emails() -> int:
    """Delete e-mails that have ended and are older than RETENTION; return how many."""
    limit = timezone.now() - RETENTION
    ended = Email.objects.exclude(state=EmailState.PENDING).filter(created_at__lt=limit)
    return delete_in_ranges(ended, stop_at=Q(created_at__gte=limit))


def pending_rows(email: Email) -> QuerySet[Email]:
    """Return the row while it is the message that was claimed; `resend` gives it another uuid."""
    return Email.objects.pending().filter(pk=email.pk, uuid=email.uuid)


def leased_rows(email: Email) -> QuerySet[Email]:
    """Return the row while no other worker has claimed it since."""
    return pending_rows(email).filter(attempts=email.attempts)


def end_attempt(email: Email, outcome: Outcome, error: str) -> None:
    Attempt.objects.filter(pk=email.attempt_id).update(outcome=outcome, error=error)


def fail_interrupted_attempts(email_ids: Sequence[int]) -> None:
    """Fail attempts without an outcome; a worker that was only paused may still record the real one."""
    interrupted = Attempt.objects.filter(email__in=email_ids, outcome=Outcome.PENDING)
    interrupted.update(outcome=Outcome.FAILED, error=INTERRUPTED)


def log_outcome(email: Email, outcome: str) -> None:
    """Count and log the outcome of an attempt."""
    EMAILS.labels(email.kind, outcome).inc()
    logger.info("E-mail %s: %s", email.pk, outcome, extra={"kind": email.kind, "attempt": email.attempts})
