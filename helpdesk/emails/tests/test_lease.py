"""Of several workers one sends an e-mail, and what none of them came for is swept up."""

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

from helpdesk.emails import actions, delivery
from helpdesk.emails.models import Email, EmailState
from helpdesk.emails.tasks import delete_old_emails, send_due_emails, send_email
from helpdesk.emails.tests.factories import EmailFactory
from helpdesk.emails.tests.outbox import attempts, let_lease_end, outcome

pytestmark = pytest.mark.django_db


@pytest.fixture
def started(monkeypatch):
    """The ids of the e-mails that were passed to the workers."""
    ids = []
    monkeypatch.setattr(send_email, "apply_async", lambda args, **options: ids.extend(args))
    return ids


def test_of_eight_workers_one_gets_an_email(transactional_db):
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


def test_what_is_being_sent_is_left_alone_until_its_lease_ends(smtp):
    email = EmailFactory()
    assert actions.claim(email.pk)

    send_email(email.pk)
    assert smtp.received == []

    let_lease_end()
    send_email(email.pk)

    assert outcome(email) == ("sent", 2, "")
    assert attempts() == [("failed", actions.CUT_OFF), ("sent", "")]


def test_the_lease_is_ninety_seconds_of_the_databases_clock():
    email = EmailFactory()
    actions.claim(email.pk)

    left = Email.objects.annotate(left=F("lease_until") - Now()).get().left

    assert 85 <= left.total_seconds() <= 90
    assert outcome(email)[1] == 1


@pytest.mark.parametrize("state", ["bounced", "dead", "withdrawn"])
def test_what_has_ended_is_not_claimed(state):
    assert actions.claim(EmailFactory(state=state).pk) is None


def test_a_worker_that_comes_back_late_marks_what_it_has_sent_but_not_what_it_has_not():
    email = EmailFactory()
    late = actions.claim(email.pk)
    let_lease_end()
    actions.claim(email.pk)

    actions.postpone(late, error="451")
    assert outcome(email) == ("pending", 2, "")

    actions.mark_sent(late)
    assert outcome(email) == ("sent", 2, "")
    assert attempts() == [("sent", ""), ("failed", actions.CUT_OFF)]


def test_a_worker_that_was_held_up_sends_nothing_and_takes_no_lease_from_another(smtp, monkeypatch):
    email = EmailFactory()
    find_recipient = delivery.find_recipient

    def be_held_up(claimed):
        let_lease_end()
        monkeypatch.setattr(delivery, "find_recipient", find_recipient)
        assert actions.claim(email.pk)
        find_recipient(claimed)

    monkeypatch.setattr(delivery, "find_recipient", be_held_up)

    send_email(email.pk)

    assert smtp.received == []
    assert outcome(email) == ("pending", 2, "")
    assert email.lease_until is not None
    assert [outcome for outcome, _error in attempts()] == ["failed", "pending"]


@pytest.mark.parametrize(
    ("earlier", "wait"), [(0, timedelta(seconds=15)), (3, timedelta(minutes=2)), (22, actions.LONGEST_WAIT)]
)
def test_a_worker_that_was_held_up_gives_back_the_lease_that_nobody_else_took(smtp, monkeypatch, earlier, wait):
    email = EmailFactory(attempts=earlier)
    monkeypatch.setattr(delivery, "find_recipient", lambda claimed: let_lease_end())
    error = "The worker was held up for too long to send it within its lease."

    send_email(email.pk)

    assert smtp.received == []
    assert outcome(email) == ("pending", earlier + 1, error)
    left = Email.objects.annotate(left=F("next_at") - Now()).get(lease_until=None).left
    assert wait * 0.7 < left <= wait
    assert attempts() == [("failed", error)]


def test_the_last_attempt_of_a_worker_that_was_held_up_ends_with_its_reason(smtp, monkeypatch):
    email = EmailFactory(attempts=actions.MAXIMUM_ATTEMPTS - 1)
    monkeypatch.setattr(delivery, "find_recipient", lambda claimed: let_lease_end())

    send_email(email.pk)

    state, count, error = outcome(email)
    assert (state, count) == ("dead", actions.MAXIMUM_ATTEMPTS)
    assert error.startswith("The worker was held up")


def test_a_third_of_the_lease_is_left_to_mark_it_as_sent():
    claimed = actions.claim(EmailFactory().pk)

    assert timedelta(seconds=55) < actions.time_to_send(claimed) <= timedelta(seconds=60)

    Email.objects.update(lease_until=Now() + timedelta(seconds=29))
    assert actions.time_to_send(claimed) <= timedelta(0)
    Email.objects.update(lease_until=Now() + timedelta(seconds=90), attempts=2)
    assert actions.time_to_send(claimed) == timedelta(0)


def test_a_worker_that_loses_postgresql_before_it_sends_gives_the_lease_back(transactional_db, smtp, monkeypatch):
    email = EmailFactory()
    reason_to_withdraw = delivery.reason_to_withdraw

    def lose_connection(claimed):
        with closing(connection.copy()) as other, other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [connection.connection.info.backend_pid])
        return reason_to_withdraw(claimed)

    monkeypatch.setattr(delivery, "reason_to_withdraw", lose_connection)
    monkeypatch.setattr(delivery, "PAUSES_SECONDS", (0, 0))

    send_email(email.pk)

    assert smtp.received == []
    assert list(Email.objects.pending().unleased()) == [email]
    assert [(outcome, error.partition(":")[0]) for outcome, error in attempts()] == [("failed", "OperationalError")]


def test_what_was_accepted_is_not_given_back_when_it_cannot_be_marked(smtp, monkeypatch):
    email = EmailFactory()

    def fail(email):
        raise OperationalError

    monkeypatch.setattr(actions, "mark_sent", fail)
    monkeypatch.setattr(delivery.connection, "close", lambda: None)
    monkeypatch.setattr(delivery, "PAUSES_SECONDS", (0, 0))

    with pytest.raises(OperationalError):
        send_email(email.pk)

    assert len(smtp.received) == 1
    assert not Email.objects.due().exists()


def test_no_transaction_is_open_while_smtp_is_spoken_to(transactional_db, smtp, monkeypatch):
    email = EmailFactory()
    seen = []
    monkeypatch.setattr(
        delivery.EmailMultiAlternatives, "send", lambda message: seen.append(connection.in_atomic_block)
    )

    send_email(email.pk)

    assert seen == [False]


def test_a_database_that_restarts_after_the_sending_makes_no_second_message(smtp, monkeypatch):
    email = EmailFactory()
    mark_sent, calls = actions.mark_sent, []

    def fail_twice(email):
        calls.append(email.pk)
        if len(calls) < 3:
            raise OperationalError
        mark_sent(email)

    monkeypatch.setattr(actions, "mark_sent", fail_twice)
    monkeypatch.setattr(delivery.connection, "close", lambda: None)
    monkeypatch.setattr(delivery, "PAUSES_SECONDS", (0, 0, 0))

    send_email(email.pk)

    assert outcome(email) == ("sent", 1, "")


# The sweep


def test_the_sweep_starts_what_is_due_and_nothing_else(started):
    due, lost = EmailFactory(), EmailFactory(lease_until=Now() - timedelta(seconds=1), attempts=1)
    EmailFactory(next_at=Now() + timedelta(seconds=60))
    EmailFactory(lease_until=Now() + timedelta(seconds=60), attempts=1)
    EmailFactory(state=EmailState.DEAD)

    assert send_due_emails() == 2

    assert sorted(started) == [due.pk, lost.pk]


def test_of_two_sweeps_one_starts_what_is_due(started):
    EmailFactory()
    other = connection.copy()

    with closing(other), other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [actions.SWEEP_LOCK])
        assert send_due_emails() == 0
    assert send_due_emails() == 1


def test_the_sweep_delivers_what_no_task_came_for(smtp, monkeypatch):
    email = EmailFactory()
    monkeypatch.setattr(send_email, "apply_async", lambda args, **options: send_email(*args))

    send_due_emails()

    assert outcome(email) == ("sent", 1, "")


def test_beat_sweeps_every_fifteen_seconds(settings):
    entry = settings.CELERY_BEAT_SCHEDULE["send-due-emails"]

    assert entry == {"task": send_due_emails.name, "schedule": timedelta(seconds=15)}


def test_a_message_that_kills_its_worker_each_time_is_dead_in_the_end(started):
    email = EmailFactory(attempts=actions.MAXIMUM_ATTEMPTS, lease_until=Now() - timedelta(seconds=1))

    send_due_emails()

    assert outcome(email) == ("dead", actions.MAXIMUM_ATTEMPTS, actions.CUT_OFF)
    assert started == []


def test_the_sweep_ends_attempts_that_were_cut_off_and_no_other(started):
    cut_off, under_way = EmailFactory(), EmailFactory()
    actions.claim(cut_off.pk)
    let_lease_end()
    actions.claim(under_way.pk)

    send_due_emails()

    assert attempts() == [("failed", actions.CUT_OFF), ("pending", "")]
    assert [email.lease_until is None for email in Email.objects.order_by("pk")] == [True, False]
    assert started == [cut_off.pk]


def test_a_sending_ends_before_its_lease_does(settings, smtp, monkeypatch):
    limits = []
    monkeypatch.setattr(delivery, "deadline", lambda limit: nullcontext(limits.append(limit)))

    send_email(EmailFactory().pk)

    (limit,) = limits
    assert timedelta(seconds=55) < limit <= timedelta(seconds=60)
    assert settings.EMAIL_TIMEOUT == 20
    assert settings.EMAIL_LEASE.total_seconds() == 90


def test_what_ended_long_ago_is_forgotten_and_what_is_pending_is_not():
    EmailFactory(state=EmailState.DEAD, created_at=Now() - timedelta(days=91))
    kept = [EmailFactory(created_at=Now() - timedelta(days=91)), EmailFactory(state=EmailState.DEAD)]

    assert delete_old_emails() == 1

    assert set(Email.objects.all()) == set(kept)


@pytest.fixture
def queue():
    """Use a queue of this test's own; return a function that puts messages into it."""
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
def test_a_long_queue_does_not_grow_with_every_sweep(started, queue, waiting, count):
    EmailFactory()
    queue(waiting)

    assert send_due_emails() == count
    assert len(started) == count
