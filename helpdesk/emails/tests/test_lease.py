"""A lease gives an e-mail to one worker at a time; the sweep finds what no worker has sent."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext
from datetime import timedelta
from threading import Barrier

import pytest
from celery import current_app
from django.db import OperationalError, connection
from django.db.models import F
from django.db.models.functions import Now

from helpdesk.emails import actions, tasks
from helpdesk.emails.models import Email, EmailState
from helpdesk.emails.tasks import delete_old_emails, send_due_emails, send_email
from helpdesk.emails.tests.factories import EmailFactory
from helpdesk.emails.tests.outbox import attempts, expire_leases, outcome

pytestmark = pytest.mark.django_db


@pytest.fixture
def queued(monkeypatch):
    """The ids of the e-mails that were queued."""
    ids = []
    monkeypatch.setattr(send_email, "apply_async", lambda args, **options: ids.extend(args))
    return ids


def test_of_eight_workers_one_claims_an_email(transactional_db):
    email = EmailFactory()
    together = Barrier(8)

    def claim(_):
        try:
            together.wait()
            return actions.claim(email.pk)
        finally:
            connection.close()

    with ThreadPoolExecutor(max_workers=8) as pool:
        claimed = [found for found in pool.map(claim, range(8)) if found]

    assert [found.pk for found in claimed] == [email.pk]
    assert outcome(email)[1] == 1


def test_a_leased_email_is_not_sent_until_the_lease_ends(smtp):
    email = EmailFactory()
    assert actions.claim(email.pk)

    send_email(email.pk)
    assert smtp.received == []

    expire_leases()
    send_email(email.pk)

    assert outcome(email) == ("sent", 2, "")
    assert attempts() == [("failed", actions.INTERRUPTED), ("sent", "")]


def test_the_lease_is_ninety_seconds_of_the_databases_clock():
    email = EmailFactory()
    actions.claim(email.pk)

    left = Email.objects.annotate(left=F("lease_until") - Now()).get().left

    assert 85 <= left.total_seconds() <= 90
    assert outcome(email)[1] == 1


@pytest.mark.parametrize("state", ["bounced", "dead", "cancelled"])
def test_an_email_that_has_ended_is_not_claimed(state):
    assert actions.claim(EmailFactory(state=state).pk) is None


def test_a_worker_whose_lease_has_ended_records_a_success_but_no_failure():
    email = EmailFactory()
    late = actions.claim(email.pk)
    expire_leases()
    actions.claim(email.pk)

    actions.retry_later(late, error="451")
    assert outcome(email) == ("pending", 2, "")

    actions.mark_sent(late)
    assert outcome(email) == ("sent", 2, "")
    assert attempts() == [("sent", ""), ("failed", actions.INTERRUPTED)]


def test_a_delayed_worker_sends_nothing_and_keeps_the_lease_of_another(smtp, monkeypatch):
    email = EmailFactory()
    resolve_recipient = tasks.resolve_recipient

    def delay(claimed):
        expire_leases()
        monkeypatch.setattr(tasks, "resolve_recipient", resolve_recipient)
        assert actions.claim(email.pk)
        resolve_recipient(claimed)

    monkeypatch.setattr(tasks, "resolve_recipient", delay)

    send_email(email.pk)

    assert smtp.received == []
    assert outcome(email) == ("pending", 2, "")
    assert email.lease_until is not None
    assert [outcome for outcome, _error in attempts()] == ["failed", "pending"]


@pytest.mark.parametrize(
    ("earlier", "wait"), [(0, timedelta(seconds=15)), (3, timedelta(minutes=2)), (22, actions.MAXIMUM_RETRY_DELAY)]
)
def test_a_delayed_worker_releases_its_lease(smtp, monkeypatch, earlier, wait):
    email = EmailFactory(attempts=earlier)
    monkeypatch.setattr(tasks, "resolve_recipient", lambda claimed: expire_leases())
    error = "The worker was delayed for too long to send it within its lease."

    send_email(email.pk)

    assert smtp.received == []
    assert outcome(email) == ("pending", earlier + 1, error)
    left = Email.objects.annotate(left=F("next_attempt_at") - Now()).get(lease_until=None).left
    assert wait * 0.7 < left <= wait
    assert attempts() == [("failed", error)]


def test_the_last_attempt_of_a_delayed_worker_fails_with_its_reason(smtp, monkeypatch):
    email = EmailFactory(attempts=actions.MAXIMUM_ATTEMPTS - 1)
    monkeypatch.setattr(tasks, "resolve_recipient", lambda claimed: expire_leases())

    send_email(email.pk)

    state, count, error = outcome(email)
    assert (state, count) == ("dead", actions.MAXIMUM_ATTEMPTS)
    assert error.startswith("The worker was delayed")


def test_a_third_of_the_lease_is_reserved_to_mark_it_sent():
    claimed = actions.claim(EmailFactory().pk)

    assert timedelta(seconds=55) < actions.get_remaining_send_time(claimed) <= timedelta(seconds=60)

    Email.objects.update(lease_until=Now() + timedelta(seconds=29))
    assert actions.get_remaining_send_time(claimed) <= timedelta(0)
    Email.objects.update(lease_until=Now() + timedelta(seconds=90), attempts=2)
    assert actions.get_remaining_send_time(claimed) == timedelta(0)


def test_a_worker_that_loses_postgresql_before_it_sends_releases_the_lease(transactional_db, smtp, monkeypatch):
    email = EmailFactory()
    get_cancellation_reason = tasks.get_cancellation_reason

    def lose_connection(claimed):
        with closing(connection.copy()) as other, other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [connection.connection.info.backend_pid])
        return get_cancellation_reason(claimed)

    monkeypatch.setattr(tasks, "get_cancellation_reason", lose_connection)
    monkeypatch.setattr(tasks, "RECORD_RETRY_DELAYS_SECONDS", (0, 0))

    send_email(email.pk)

    assert smtp.received == []
    assert list(Email.objects.pending().unleased()) == [email]
    assert [(outcome, error.partition(":")[0]) for outcome, error in attempts()] == [("failed", "OperationalError")]


def test_an_accepted_message_that_cannot_be_marked_sent_keeps_its_lease(smtp, monkeypatch):
    email = EmailFactory()

    def fail(email):
        raise OperationalError

    monkeypatch.setattr(actions, "mark_sent", fail)
    monkeypatch.setattr(tasks.connection, "close", lambda: None)
    monkeypatch.setattr(tasks, "RECORD_RETRY_DELAYS_SECONDS", (0, 0))

    with pytest.raises(OperationalError):
        send_email(email.pk)

    assert len(smtp.received) == 1
    assert not Email.objects.due().exists()


def test_no_transaction_is_open_during_smtp(transactional_db, smtp, monkeypatch):
    email = EmailFactory()
    seen = []
    monkeypatch.setattr(tasks.EmailMultiAlternatives, "send", lambda message: seen.append(connection.in_atomic_block))

    send_email(email.pk)

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
    monkeypatch.setattr(tasks.connection, "close", lambda: None)
    monkeypatch.setattr(tasks, "RECORD_RETRY_DELAYS_SECONDS", (0, 0, 0))

    send_email(email.pk)

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
    monkeypatch.setattr(send_email, "apply_async", lambda args, **options: send_email(*args))

    send_due_emails()

    assert outcome(email) == ("sent", 1, "")


def test_a_message_that_kills_its_worker_each_time_ends_up_dead(queued):
    email = EmailFactory(attempts=actions.MAXIMUM_ATTEMPTS, lease_until=Now() - timedelta(seconds=1))

    send_due_emails()

    assert outcome(email) == ("dead", actions.MAXIMUM_ATTEMPTS, actions.INTERRUPTED)
    assert queued == []


def test_the_sweep_fails_interrupted_attempts_only(queued):
    interrupted, current = EmailFactory(), EmailFactory()
    actions.claim(interrupted.pk)
    expire_leases()
    actions.claim(current.pk)

    send_due_emails()

    assert attempts() == [("failed", actions.INTERRUPTED), ("pending", "")]
    assert [email.lease_until is None for email in Email.objects.order_by("pk")] == [True, False]
    assert queued == [interrupted.pk]


def test_smtp_is_limited_to_two_thirds_of_the_lease(settings, smtp, monkeypatch):
    limits = []
    monkeypatch.setattr(tasks, "timeout", lambda limit: nullcontext(limits.append(limit)))

    send_email(EmailFactory().pk)

    (limit,) = limits
    assert timedelta(seconds=55) < limit <= timedelta(seconds=60)
    assert limit > timedelta(seconds=settings.EMAIL_TIMEOUT)


def test_old_emails_are_deleted_unless_they_are_pending():
    EmailFactory(state=EmailState.DEAD, created_at=Now() - timedelta(days=91))
    kept = [EmailFactory(created_at=Now() - timedelta(days=91)), EmailFactory(state=EmailState.DEAD)]

    assert delete_old_emails() == 1

    assert set(Email.objects.all()) == set(kept)


@pytest.fixture
def queue():
    """Use a queue of this test alone; return a function that puts messages into it."""
    usual, name = current_app.conf.task_default_queue, f"queue-{uuid.uuid4().hex}"
    with current_app.connection_for_write() as connection, connection.SimpleQueue(name) as messages:

        def put(count):
            for number in range(count):
                messages.put(number)

        current_app.conf.task_default_queue = name
        yield put
        current_app.conf.task_default_queue = usual
        messages.clear()


@pytest.mark.parametrize(("waiting", "count"), [(0, 1), (100, 1), (101, 0)])
def test_the_sweep_queues_nothing_while_the_queue_is_long(queued, queue, waiting, count):
    EmailFactory()
    queue(waiting)

    assert send_due_emails() == count
    assert len(queued) == count
