"""A lease gives an e-mail to one worker at a time; the sweep finds what no worker has sent."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext
from datetime import timedelta
from threading import Barrier

import pytest
from django.core.mail import EmailMultiAlternatives
from django.db import OperationalError, connection
from django.db.models import F
from django.db.models.functions import Now

from helpdesk.emails import actions, delivery
from helpdesk.emails import smtp as smtp_module
from helpdesk.emails.models import Email, EmailState
from helpdesk.emails.tasks import delete_old_emails, send_due_emails, send_emails
from helpdesk.emails.tests.factories import EmailFactory
from helpdesk.emails.tests.outbox import attempts, expire_leases, outcome, start

pytestmark = pytest.mark.django_db


@pytest.fixture
def delay_at(settings, monkeypatch):
    """Return a function that has a step of the delivery take longer than the lease, and then do something else."""
    settings.EMAIL_LEASE = timedelta(seconds=0.2)

    def delay(step, *, then=lambda: None):
        usual = getattr(delivery, step)

        def take_long(*args):
            time.sleep(0.2)
            then()
            return usual(*args)

        monkeypatch.setattr(delivery, step, take_long)

    return delay


def test_of_eight_workers_one_claims_an_email(transactional_db):
    email = EmailFactory()
    together = Barrier(8)

    def claim(_):
        try:
            together.wait()
            return actions.claim([email.pk])
        finally:
            connection.close()

    with ThreadPoolExecutor(max_workers=8) as pool:
        claimed = [email for found in pool.map(claim, range(8)) for email in found]

    assert [found.pk for found in claimed] == [email.pk]
    actions.start_attempt(claimed[0])
    assert outcome(email)[1] == 1


def test_a_leased_email_is_not_sent_until_the_lease_ends(smtp):
    email = EmailFactory()
    start(email)

    send_emails([email.pk])
    assert smtp.received == []

    expire_leases()
    send_emails([email.pk])

    assert outcome(email) == ("sent", 2, "")
    assert attempts() == [("failed", actions.INTERRUPTED), ("sent", "")]


def test_the_lease_is_ninety_seconds_of_the_databases_clock():
    email = EmailFactory()
    start(email)

    left = Email.objects.annotate(left=F("lease_until") - Now()).get().left

    assert 85 <= left.total_seconds() <= 90
    assert outcome(email)[1] == 1


@pytest.mark.parametrize("state", ["bounced", "dead", "cancelled"])
def test_an_email_that_has_ended_is_not_claimed(state):
    assert actions.claim([EmailFactory(state=state).pk]) == []


def test_a_worker_whose_lease_has_ended_records_a_success_but_no_failure():
    email = EmailFactory()
    late = start(email)
    expire_leases()
    start(email)

    actions.retry_later(late, error="451")
    assert outcome(email) == ("pending", 2, "")

    actions.mark_sent(late)
    assert outcome(email) == ("sent", 2, "")
    assert attempts() == [("sent", ""), ("failed", actions.INTERRUPTED)]


def test_a_delayed_worker_sends_nothing_and_keeps_the_lease_of_another(smtp, delay_at):
    email = EmailFactory()
    delay_at("build_message", then=lambda: start(email))

    send_emails([email.pk])

    assert smtp.received == []
    assert outcome(email) == ("pending", 2, "")
    assert email.lease_until is not None
    assert [outcome for outcome, _error in attempts()] == ["failed", "pending"]


def test_a_worker_that_was_delayed_before_it_began_leaves_the_attempt_to_another(smtp, delay_at):
    email = EmailFactory()
    delay_at("check_recipients", then=lambda: start(email))

    send_emails([email.pk])

    assert smtp.received == []
    assert outcome(email) == ("pending", 1, "")
    assert email.lease_until is not None
    assert attempts() == [("pending", "")]


@pytest.mark.parametrize(
    ("earlier", "wait"), [(0, timedelta(seconds=15)), (3, timedelta(minutes=2)), (22, actions.MAXIMUM_RETRY_DELAY)]
)
@pytest.mark.parametrize("step", ["check_recipients", "build_message"])
def test_a_delayed_worker_releases_its_lease(smtp, delay_at, step, earlier, wait):
    email = EmailFactory(attempts=earlier)
    delay_at(step)
    error = "The worker was delayed for too long to send it within its lease."

    send_emails([email.pk])

    assert smtp.received == []
    assert outcome(email) == ("pending", earlier + 1, error)
    left = Email.objects.annotate(left=F("next_attempt_at") - Now()).get(lease_until=None).left
    assert wait * 0.7 < left <= wait
    assert attempts() == [("failed", error)]


def test_the_last_attempt_of_a_delayed_worker_fails_with_its_reason(smtp, delay_at):
    email = EmailFactory(attempts=actions.MAXIMUM_ATTEMPTS - 1)
    delay_at("check_recipients")

    send_emails([email.pk])

    state, count, error = outcome(email)
    assert (state, count) == ("dead", actions.MAXIMUM_ATTEMPTS)
    assert error.startswith("The worker was delayed")


def test_a_third_of_the_lease_is_reserved_to_mark_it_sent():
    (claimed,) = actions.claim([EmailFactory().pk])

    assert timedelta(seconds=55) < actions.start_attempt(claimed) <= timedelta(seconds=60)

    Email.objects.update(lease_until=Now() + timedelta(seconds=29))
    claimed.refresh_from_db()
    assert actions.start_attempt(claimed) <= timedelta(0)
    Email.objects.update(lease_until=Now() + timedelta(seconds=90), attempts=2)
    assert actions.start_attempt(claimed) is None


def test_a_worker_that_loses_postgresql_before_it_sends_releases_the_lease(transactional_db, smtp, monkeypatch):
    email = EmailFactory()
    check_recipients = delivery.check_recipients

    def lose_connection(emails):
        with closing(connection.copy()) as other, other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [connection.connection.info.backend_pid])
        return check_recipients(emails)

    monkeypatch.setattr(delivery, "check_recipients", lose_connection)
    monkeypatch.setattr(delivery, "RECORD_RETRY_DELAYS_SECONDS", (0, 0))

    send_emails([email.pk])

    assert smtp.received == []
    assert list(Email.objects.pending().unleased()) == [email]
    assert [(outcome, error.partition(":")[0]) for outcome, error in attempts()] == [("failed", "OperationalError")]


def test_an_accepted_message_that_cannot_be_marked_sent_keeps_its_lease(smtp, monkeypatch):
    email = EmailFactory()

    def fail(email):
        raise OperationalError

    monkeypatch.setattr(actions, "mark_sent", fail)
    monkeypatch.setattr(delivery.connection, "close", lambda: None)
    monkeypatch.setattr(delivery, "RECORD_RETRY_DELAYS_SECONDS", (0, 0))

    with pytest.raises(OperationalError):
        send_emails([email.pk])

    assert len(smtp.received) == 1
    assert not Email.objects.due().exists()


def test_no_transaction_is_open_during_smtp(transactional_db, smtp, monkeypatch):
    email = EmailFactory()
    seen = []
    monkeypatch.setattr(EmailMultiAlternatives, "send", lambda message: seen.append(connection.in_atomic_block))

    send_emails([email.pk])

    assert seen == [False]


def test_a_database_that_restarts_after_smtp_causes_no_second_message(smtp, monkeypatch):
    email = EmailFactory()
    mark_sent, calls = actions.mark_sent, []

    def fail_twice(email):
        calls.append(email.pk)
        if len(calls) < 3:
            raise OperationalError
        mark_sent(email)

    monkeypatch.setattr(actions, "mark_sent", fail_twice)
    monkeypatch.setattr(delivery.connection, "close", lambda: None)
    monkeypatch.setattr(delivery, "RECORD_RETRY_DELAYS_SECONDS", (0, 0, 0))

    send_emails([email.pk])

    assert outcome(email) == ("sent", 1, "")


# The sweep


def test_the_sweep_queues_the_emails_that_are_due(queued):
    due, lost = EmailFactory(), EmailFactory(lease_until=Now() - timedelta(seconds=1), attempts=1)
    EmailFactory(next_attempt_at=Now() + timedelta(seconds=60))
    EmailFactory(lease_until=Now() + timedelta(seconds=60), attempts=1)
    EmailFactory(state=EmailState.DEAD)

    assert send_due_emails() == 2

    assert sorted(queued) == [due.pk, lost.pk]


def test_of_two_concurrent_sweeps_one_queues(queued):
    EmailFactory()
    other = connection.copy()

    with closing(other), other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [actions.SWEEP_LOCK])
        assert send_due_emails() == 0
    assert send_due_emails() == 1


def test_the_sweep_delivers_an_email_whose_task_was_lost(smtp, monkeypatch):
    email = EmailFactory()
    monkeypatch.setattr(send_emails, "apply_async", lambda args, **options: send_emails(*args))

    send_due_emails()

    assert outcome(email) == ("sent", 1, "")


def test_a_message_that_kills_its_worker_each_time_ends_up_dead(queued):
    email = EmailFactory(attempts=actions.MAXIMUM_ATTEMPTS, lease_until=Now() - timedelta(seconds=1))

    send_due_emails()

    assert outcome(email) == ("dead", actions.MAXIMUM_ATTEMPTS, actions.INTERRUPTED)
    assert queued == []


def test_the_sweep_fails_interrupted_attempts_only(queued):
    interrupted, current = EmailFactory(), EmailFactory()
    start(interrupted)
    expire_leases()
    start(current)

    send_due_emails()

    assert attempts() == [("failed", actions.INTERRUPTED), ("pending", "")]
    assert [email.lease_until is None for email in Email.objects.order_by("pk")] == [True, False]
    assert queued == [interrupted.pk]


def test_smtp_is_limited_to_two_thirds_of_the_lease(settings, smtp, monkeypatch):
    limits = []
    monkeypatch.setattr(smtp_module, "timeout", lambda limit: nullcontext(limits.append(limit)))

    send_emails([EmailFactory().pk])

    (limit,) = limits
    assert timedelta(seconds=55) < limit <= timedelta(seconds=60)
    assert limit > timedelta(seconds=settings.EMAIL_TIMEOUT)


def test_old_emails_are_deleted_unless_they_are_pending():
    EmailFactory(state=EmailState.DEAD, created_at=Now() - timedelta(days=91))
    kept = [EmailFactory(created_at=Now() - timedelta(days=91)), EmailFactory(state=EmailState.DEAD)]

    assert delete_old_emails() == 1

    assert set(Email.objects.all()) == set(kept)


@pytest.mark.parametrize(("waiting", "count"), [(0, 1), (100, 1), (101, 0)])
def test_the_sweep_queues_nothing_while_the_queue_is_long(queued, queue, waiting, count):
    EmailFactory()
    queue(waiting)

    assert send_due_emails() == count
    assert len(queued) == count
