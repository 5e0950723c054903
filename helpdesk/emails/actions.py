"""What can happen to an e-mail: it is queued, claimed by a worker, and ends or waits for another attempt."""

import logging
import random
import uuid
from collections.abc import Sequence
from datetime import timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from helpdesk.core.after_commit import after_commit
from helpdesk.core.cleanup import delete_in_ranges
from helpdesk.core.metrics import Count
from helpdesk.emails.models import Attempt, Email, EmailKind, EmailState, Outcome
from helpdesk.emails.subjects import account_subject, subject_of
from helpdesk.tickets.audience import occasions_in
from helpdesk.tickets.models import Medium, TicketEvent
from helpdesk.users.models import AddressChange, Registration, User

logger = logging.getLogger(__name__)

MAXIMUM_ATTEMPTS = 24
LONGEST_WAIT = timedelta(hours=1)
RETENTION = timedelta(days=90)
RELEASED_AT_ONCE = 1_000
CUT_OFF = "The attempt was cut off: its worker was killed, paused, or lost PostgreSQL."
# "MAIL": any number will do that no other program takes in this database.
SWEEP_LOCK = 0x4D41494C

attempts = Count("helpdesk_emails_total", "Attempts to send an e-mail, by outcome.", labels=["kind", "outcome"])

# An event that is announced again by hand is not told twice.
QUEUE = """
    INSERT INTO emails_email
        (uuid, event_id, request_id, kind, subject, recipient_id, address, language, state, error, attempts)
    SELECT gen_random_uuid(), event_id, request_id, kind, subject, user_id, email, language, 'pending', '', 0
    FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[], %s::bigint[])
        AS owed (event_id, request_id, kind, subject, user_id)
    JOIN users_user AS reader ON reader.id = user_id
    ON CONFLICT (event_id, recipient_id) DO NOTHING
    RETURNING id
"""
# One statement and one clock, so that of several workers one wins.
CLAIM = """
    UPDATE emails_email
    SET attempts = attempts + 1, lease_until = STATEMENT_TIMESTAMP() + %(lease)s
    WHERE id = %(id)s AND state = 'pending' AND attempts < %(maximum)s AND next_at <= STATEMENT_TIMESTAMP()
        AND (lease_until IS NULL OR lease_until <= STATEMENT_TIMESTAMP())
    RETURNING *
"""


def queue_emails(events: Sequence[TicketEvent]) -> list[int]:
    """Owe an e-mail to everybody in the events' audience who wants its kind; return the ids of the new rows."""
    owed = [
        (event.pk, event.request_id, event.kind, subject, user_id)
        for event, _ticket, audience in occasions_in(events, medium=Medium.EMAIL)
        for subject in [subject_of(event)]
        for user_id in audience
    ]
    if not owed:
        return []
    with connection.cursor() as cursor:
        cursor.execute(QUEUE, [list(column) for column in zip(*owed, strict=True)])
        return [email_id for (email_id,) in cursor.fetchall()]


def queue_account_email(
    kind: EmailKind,
    *,
    address: str,
    language: str,
    recipient: User | None = None,
    registration: Registration | None = None,
    address_change: AddressChange | None = None,
) -> int:
    """Owe an e-mail to an address; return the row's id.

    Who has the address, if anybody, is looked up when it is sent, but for a notice, which names its recipient.
    """
    subject = account_subject(kind, language)
    email = Email.objects.create(
        kind=kind,
        recipient=recipient,
        registration=registration,
        address_change=address_change,
        address=address,
        language=language,
        subject=subject,
    )
    return email.pk


@transaction.atomic
def claim(email_id: int) -> Email | None:
    """Lease a due e-mail to the caller, who is alone to send it until the lease ends; None when it is not to be had."""
    rows = Email.objects.raw(CLAIM, {"id": email_id, "lease": settings.EMAIL_LEASE, "maximum": MAXIMUM_ATTEMPTS})
    for email in rows:
        end_cut_off_attempts([email.pk])
        email.attempt = Attempt.objects.create(email=email)
        return email
    return None


def time_to_send(email: Email) -> timedelta:
    """Return how long a claimed e-mail may still be sent by the database's clock: a third of the lease is to mark it.

    Not positive when the lease has ended, or somebody else has claimed it.
    """
    end = F("lease_until") - settings.EMAIL_LEASE / 3
    left = leased(email).annotate(left=end - Now()).values_list("left", flat=True).first()
    return left or timedelta(0)


@transaction.atomic
def mark_sent(email: Email) -> None:
    """Note that the SMTP server has accepted it, even if the lease ran out meanwhile."""
    fields = {"state": EmailState.SENT, "sent_at": Now(), "lease_until": None, "error": ""}
    own(email).update(address=email.address, recipient=email.recipient, **fields)
    end_attempt(email, Outcome.SENT, "")
    end_cut_off_attempts([email.pk])
    after_commit(note, email, EmailState.SENT)


def withdraw(email: Email, *, reason: str) -> None:
    """Never send it: its recipient is not to get it any more."""
    give_up(email, EmailState.WITHDRAWN, reason)


def bounce(email: Email, *, error: str) -> None:
    """Never send it again: the SMTP server refuses this recipient or message for good."""
    give_up(email, EmailState.BOUNCED, error)


def bury(email: Email, *, error: str) -> None:
    """Never send it again: it is broken, or the attempts are used up."""
    give_up(email, EmailState.DEAD, error)


@transaction.atomic
def give_up(email: Email, state: EmailState, error: str) -> None:
    leased(email).update(state=state, error=error, lease_until=None)
    end_attempt(email, Outcome.FAILED, error)
    after_commit(note, email, state)


@transaction.atomic
def postpone(email: Email, *, error: str, end: str = "postponed") -> None:
    """Try again later, unless the attempts are used up."""
    if email.attempts >= MAXIMUM_ATTEMPTS:
        bury(email, error=error)
        return
    leased(email).update(next_at=Now() + wait_after(email.attempts), error=error, lease_until=None)
    end_attempt(email, Outcome.FAILED, error)
    after_commit(note, email, end)


def release(email: Email, *, error: str) -> None:
    """Give the lease back, as nothing was sent.

    It waits as after a failed attempt, so that the attempts outlast an outage of PostgreSQL as well as one of SMTP.
    """
    postpone(email, error=error, end="released")


@transaction.atomic
def release_expired() -> int:
    """Give back the leases of attempts that were cut off; returns how many."""
    expired = Email.objects.pending().filter(lease_until__lte=Now()).select_for_update(skip_locked=True)
    email_ids = list(expired.values_list("pk", flat=True)[:RELEASED_AT_ONCE])
    end_cut_off_attempts(email_ids)
    return Email.objects.filter(pk__in=email_ids).update(lease_until=None)


def wait_after(attempts: int) -> timedelta:
    """Return the first wait, doubled by each attempt up to an hour, less up to a quarter so that not all come at once."""
    longest: timedelta = min(settings.EMAIL_FIRST_WAIT * 2 ** (attempts - 1), LONGEST_WAIT)
    return longest * random.uniform(0.75, 1)  # noqa: S311 -- no secret


def begins_sweep() -> bool:
    """Tell whether nobody else sweeps, and keep them from it until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [SWEEP_LOCK])
        return bool(cursor.fetchone()[0])


def bury_lost() -> int:
    """Give up those whose last attempt was cut off, as all of those before may have been; returns how many."""
    lost = Email.objects.pending().unleased().filter(attempts__gte=MAXIMUM_ATTEMPTS)
    return lost.update(state=EmailState.DEAD, error=CUT_OFF, lease_until=None)


def send_again(email: Email) -> None:
    """Owe it anew, as another message: mail servers drop a message that they have seen; a pending one is due now."""
    Email.objects.pending().filter(pk=email.pk).update(next_at=Now())
    anew = {"state": EmailState.PENDING, "uuid": uuid.uuid4(), "attempts": 0, "sent_at": None, "error": ""}
    Email.objects.filter(pk=email.pk).exclude(state=EmailState.PENDING).update(**anew, next_at=Now())


def delete_old() -> int:
    """Delete what ended and was created before RETENTION; returns how many e-mails."""
    limit = timezone.now() - RETENTION
    ended = Email.objects.exclude(state=EmailState.PENDING).filter(created_at__lt=limit)
    return delete_in_ranges(ended, stop_at=Q(created_at__gte=limit))


def own(email: Email) -> QuerySet[Email]:
    """Return the row while it is the message that was claimed, and not one that was sent again."""
    return Email.objects.pending().filter(pk=email.pk, uuid=email.uuid)


def leased(email: Email) -> QuerySet[Email]:
    """Return the row while nobody else has claimed it since."""
    return own(email).filter(attempts=email.attempts)


def end_attempt(email: Email, outcome: Outcome, error: str) -> None:
    Attempt.objects.filter(pk=email.attempt.pk).update(outcome=outcome, error=error)


def end_cut_off_attempts(email_ids: Sequence[int]) -> None:
    """End those that nobody has ended; one whose worker lives after all says itself later what became of it."""
    cut_off = Attempt.objects.filter(email__in=email_ids, outcome=Outcome.PENDING)
    cut_off.update(outcome=Outcome.FAILED, error=CUT_OFF)


def note(email: Email, end: str) -> None:
    """Count and log what became of an attempt."""
    attempts.add(email.kind, end)
    logger.info("E-mail %s: %s", email.pk, end, extra={"fields": {"kind": email.kind, "attempt": email.attempts}})
