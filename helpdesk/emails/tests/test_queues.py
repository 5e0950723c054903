"""E-mails are passed to the workers in batches; the broker holds few messages, and those of accounts have their own queue."""

import pytest
from celery import current_app
from django.conf import settings

from helpdesk.emails import receivers, tasks
from helpdesk.emails.actions import enqueue_account_email
from helpdesk.emails.models import Email, EmailKind
from helpdesk.emails.tasks import send_due_emails, send_emails
from helpdesk.emails.tests.factories import EmailFactory
from helpdesk.testing import raising

pytestmark = pytest.mark.django_db


@pytest.fixture
def batches(monkeypatch):
    """The batches that were queued: the queue and the ids of each."""
    queued = []
    monkeypatch.setattr(send_emails, "apply_async", lambda args, queue, retry: queued.append((queue, *args)))
    return queued


def enqueue_of_account():
    return enqueue_account_email(EmailKind.PASSWORD_RESET, address="alice@example.com", language="en")


def test_an_announcement_is_split_into_batches_in_its_order(batches, queue):
    receivers.queue_ticket_emails([list(range(40)), list(range(40, 60))])

    name = current_app.conf.task_default_queue
    assert batches == [(name, list(range(25))), (name, list(range(25, 50))), (name, list(range(50, 60)))]


@pytest.mark.parametrize(("waiting", "count"), [(0, 1_000), (100, 1_000), (101, 0)])
def test_however_many_emails_an_announcement_has_the_broker_holds_few_messages(batches, queue, waiting, count):
    queue(waiting)

    receivers.queue_ticket_emails([list(range(50_000))])

    assert sum(len(ids) for _queue, ids in batches) == count
    assert len(batches) <= 40


def test_however_many_emails_are_due_the_broker_holds_few_messages(batches, queue, monkeypatch):
    monkeypatch.setattr(tasks, "MAXIMUM_EMAILS_QUEUED_AT_ONCE", 2)
    EmailFactory.create_batch(3)

    assert send_due_emails() == 2


def test_who_finishes_a_batch_of_many_queues_the_next_ones_when_no_message_waits(batches, queue, monkeypatch):
    monkeypatch.setattr(tasks, "BATCH_SIZE", 2)
    emails = EmailFactory.create_batch(3)

    send_emails([email.pk for email in emails[:2]])

    assert batches == [(current_app.conf.task_default_queue, [emails[2].pk])]


@pytest.mark.parametrize(("size", "waiting"), [(1, 0), (2, 1)])
def test_who_finishes_a_small_batch_or_while_messages_wait_leaves_the_rest(batches, queue, monkeypatch, size, waiting):
    monkeypatch.setattr(tasks, "BATCH_SIZE", 2)
    emails = EmailFactory.create_batch(3)
    queue(waiting)

    send_emails([email.pk for email in emails[:size]])

    assert batches == []


def test_a_batch_that_is_finished_while_the_broker_is_down_is_sent(batches, monkeypatch, caplog):
    monkeypatch.setattr(tasks, "BATCH_SIZE", 1)
    monkeypatch.setattr(tasks, "get_queue_length", raising(tasks.RedisError("refused")))
    email = EmailFactory()

    send_emails([email.pk])

    assert Email.objects.get().state == "sent"
    assert "e-mails left to the sweep (refused)" in caplog.text


def test_emails_of_accounts_have_a_queue_of_their_own(batches, queue):
    email_id = enqueue_of_account()
    receivers.queue_account_emails([[email_id]])

    send_due_emails()

    assert batches == [(settings.EMAIL_ACCOUNT_QUEUE, [email_id])] * 2


def test_the_sweep_queues_those_of_accounts_however_many_of_tickets_wait(batches, queue, monkeypatch):
    monkeypatch.setattr(tasks, "MAXIMUM_EMAILS_QUEUED_AT_ONCE", 2)
    EmailFactory.create_batch(3)
    email_id = enqueue_of_account()
    queue(101)

    assert send_due_emails() == 1

    assert batches == [(settings.EMAIL_ACCOUNT_QUEUE, [email_id])]
