"""The outcome of a delivery, whatever the SMTP server replies and whatever has happened to the recipient."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.db.models import F
from django.db.models.functions import Now

from compose.embedded.ports import free_port
from helpdesk.emails import actions, delivery, messages
from helpdesk.emails.models import Email
from helpdesk.emails.tasks import send_emails
from helpdesk.emails.tests.factories import EmailFactory
from helpdesk.emails.tests.outbox import attempts, outcome
from helpdesk.emails.tests.smtp import endless_greeting
from helpdesk.subscriptions.models import Channel, NotificationPreference
from helpdesk.testing import raising
from helpdesk.tickets.models import Ticket
from helpdesk.users.models import Role, User

pytestmark = pytest.mark.django_db


def seconds_until_next(email):
    waits = Email.objects.annotate(wait=F("next_attempt_at") - Now()).values_list("wait", flat=True)
    return waits.get(pk=email.pk).total_seconds()


# Replies of the SMTP server


def test_an_accepted_message_is_sent_to_its_recipient_alone(smtp):
    email = EmailFactory()

    send_emails([email.pk])

    assert outcome(email) == ("sent", 1, "")
    assert email.sent_at is not None
    (message,) = smtp.accepted
    assert message["To"] == email.address
    assert message["Message-ID"] == f"<{email.uuid}@localhost>"
    assert attempts() == [("sent", "")]


def test_a_sent_message_is_not_sent_again(smtp):
    email = EmailFactory()
    send_emails([email.pk])

    send_emails([email.pk])

    assert len(smtp.received) == 1
    assert outcome(email) == ("sent", 1, "")


def test_a_refused_recipient_bounces_and_delays_nobody_else(smtp):
    smtp.refusals = {"nobody@example.com": "550 5.1.1 No such user"}
    wrong, right = EmailFactory(address="nobody@example.com"), EmailFactory()
    User.objects.filter(pk=wrong.recipient_id).update(email="nobody@example.com")

    send_emails([wrong.pk, right.pk])

    assert outcome(wrong) == ("bounced", 1, "550 5.1.1 No such user")
    assert outcome(right) == ("sent", 1, "")


def test_a_refused_message_bounces(smtp):
    smtp.data_reply = "554 5.7.1 Spam"
    email = EmailFactory()

    send_emails([email.pk])

    assert outcome(email) == ("bounced", 1, "554 5.7.1 Spam")


def test_a_temporarily_refused_message_is_sent_later(smtp):
    smtp.data_reply = "451 4.7.1 Try later"
    email = EmailFactory()
    send_emails([email.pk])
    assert outcome(email) == ("pending", 1, "451 4.7.1 Try later")
    assert 11 <= seconds_until_next(email) <= 15

    send_emails([email.pk])
    assert len(smtp.received) == 1

    smtp.data_reply = "250 Accepted"
    Email.objects.update(next_attempt_at=Now())
    send_emails([email.pk])

    assert outcome(email) == ("sent", 2, "")
    assert attempts() == [("failed", "451 4.7.1 Try later"), ("sent", "")]


def test_a_temporarily_refused_recipient_waits(smtp):
    email = EmailFactory()
    smtp.refusals = {email.address: "450 4.2.0 Greylisted"}

    send_emails([email.pk])

    assert outcome(email) == ("pending", 1, "450 4.2.0 Greylisted")


def test_a_server_that_is_down_is_retried(smtp, settings):
    settings.EMAIL_PORT = free_port()
    email = EmailFactory()

    send_emails([email.pk])

    state, tried, error = outcome(email)
    assert (state, tried) == ("pending", 1)
    assert error.startswith("ConnectionRefusedError")
    assert seconds_until_next(email) > 10


def test_a_server_that_hangs_is_retried_after_the_timeout(smtp, settings):
    settings.EMAIL_TIMEOUT = 0.2
    smtp.is_hanging = True
    email = EmailFactory()

    send_emails([email.pk])

    state, tried, error = outcome(email)
    assert (state, tried) == ("pending", 1)
    assert "timed out" in error


def test_a_server_that_never_finishes_is_retried_before_the_lease_ends(smtp, settings):
    settings.EMAIL_LEASE = timedelta(seconds=0.6)
    email = EmailFactory()

    with endless_greeting() as settings.EMAIL_PORT:
        send_emails([email.pk])

    state, tried, error = outcome(email)
    assert (state, tried) == ("pending", 1)
    assert "Timed out" in error


def test_an_email_is_sent_in_any_thread(transactional_db, smtp):
    email = EmailFactory()

    def send():
        try:
            send_emails([email.pk])
        finally:
            connection.close()

    with ThreadPoolExecutor() as pool:
        pool.submit(send).result()

    assert outcome(email) == ("sent", 1, "")


def test_a_connection_that_drops_after_the_data_repeats_the_same_message(smtp):
    smtp.hangs_up_after_data = True
    email = EmailFactory()
    send_emails([email.pk])
    assert outcome(email)[:2] == ("pending", 1)

    smtp.hangs_up_after_data = False
    Email.objects.update(next_attempt_at=Now())
    send_emails([email.pk])

    assert outcome(email) == ("sent", 2, "")
    assert len({message["Message-ID"] for message in smtp.received}) == 1


@pytest.mark.parametrize(
    ("tried", "longest"), [(1, 15), (2, 30), (3, 60), (4, 120), (5, 240), (8, 1920), (9, 3600), (23, 3600)]
)
def test_retry_delays_double_up_to_an_hour_minus_a_random_quarter(tried, longest):
    waits = [actions.get_retry_delay(tried).total_seconds() for _ in range(100)]

    assert longest * 0.75 <= min(waits) < max(waits) <= longest


def test_without_attempts_left_it_is_dead(smtp):
    smtp.data_reply = "451 4.7.1 Try later"
    email = EmailFactory(attempts=actions.MAXIMUM_ATTEMPTS - 1)

    send_emails([email.pk])

    assert outcome(email) == ("dead", actions.MAXIMUM_ATTEMPTS, "451 4.7.1 Try later")


# The recipient at the time of sending


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda email: User.objects.update(is_active=False), "The recipient is not active."),
        (
            lambda email: Ticket.objects.update(created_by=email.event.actor),
            "The recipient may not see the ticket any more, or it was deleted.",
        ),
        (
            lambda email: Ticket.objects.all().delete(),
            "The recipient may not see the ticket any more, or it was deleted.",
        ),
        (
            lambda email: NotificationPreference.objects.create(
                user=email.recipient, kind=email.kind, channel=Channel.EMAIL, is_enabled=False
            ),
            "The recipient has unsubscribed.",
        ),
    ],
)
def test_an_email_that_its_recipient_should_not_get_any_more_is_cancelled(smtp, change, reason):
    email = EmailFactory()
    change(email)

    send_emails([email.pk])

    assert outcome(email) == ("cancelled", 1, reason)
    assert smtp.received == []


def test_a_former_agent_gets_no_email_about_the_tickets_of_others(smtp, agent):
    email = EmailFactory(recipient=agent)
    User.objects.filter(pk=agent.pk).update(role=Role.CUSTOMER)

    send_emails([email.pk])

    assert outcome(email)[0] == "cancelled"


def test_it_goes_to_the_current_address(smtp):
    email = EmailFactory()
    User.objects.filter(pk=email.recipient_id).update(email="new@example.com")

    send_emails([email.pk])

    assert smtp.accepted[0]["To"] == "new@example.com"
    assert outcome(email)[0] == "sent"
    assert email.address == "new@example.com"


# Errors of a single e-mail


def test_an_email_that_cannot_be_rendered_is_dead_and_delays_no_other(smtp, monkeypatch):
    broken, other = EmailFactory(), EmailFactory()
    render = messages.render_to_string

    def fail(name, context):
        if context["email"].pk == broken.pk:
            raise ValueError("no such thing")
        return render(name, context)

    monkeypatch.setattr(messages, "render_to_string", fail)

    send_emails([broken.pk, other.pk])

    assert outcome(broken) == ("dead", 1, "It cannot be rendered: ValueError: no such thing")
    assert outcome(other) == ("sent", 1, "")


def test_an_address_that_smtp_cannot_carry_is_dead(smtp):
    email = EmailFactory()
    User.objects.filter(pk=email.recipient_id).update(email="a\nb@example.com")

    send_emails([email.pk])

    assert outcome(email)[0] == "dead"
    assert smtp.received == []


def test_a_database_error_during_rendering_is_retried(smtp, monkeypatch):
    email = EmailFactory()
    monkeypatch.setattr(delivery, "build_message", raising(OperationalError))

    send_emails([email.pk])

    assert list(Email.objects.pending().unleased()) == [email]
