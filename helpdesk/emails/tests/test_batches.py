"""A batch has one lease, one SMTP connection and one reading of the recipients; each e-mail has an outcome of its own."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from helpdesk.emails import actions, delivery, messages
from helpdesk.emails.messages import build_message
from helpdesk.emails.models import Email
from helpdesk.emails.tasks import send_due_emails, send_emails
from helpdesk.emails.tests.factories import EmailFactory, StatusEventFactory
from helpdesk.emails.tests.outbox import attempts, expire_leases, outcome
from helpdesk.subscriptions.models import Channel, NotificationPreference
from helpdesk.users.models import User
from helpdesk.users.tests.factories import UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def batch():
    """Three due e-mails, in the order of their turns."""
    return EmailFactory.create_batch(3)


def send(emails):
    send_emails([email.pk for email in emails])


def outcomes(emails):
    return [outcome(email) for email in emails]


# One connection


def test_a_batch_is_sent_over_one_connection(smtp, batch):
    send(batch)

    assert outcomes(batch) == [("sent", 1, "")] * 3
    assert [message["To"] for message in smtp.accepted] == [email.address for email in batch]
    assert smtp.connections == 1


def test_each_batch_has_a_connection_of_its_own(smtp, batch):
    send(batch[:1])
    send(batch[1:])

    assert smtp.connections == 2


@pytest.mark.parametrize("with_421", [True, False])
def test_a_connection_that_the_server_ends_between_two_emails_costs_no_attempt(smtp, batch, with_421):
    smtp.messages_per_connection = 2
    smtp.ends_connections_with_421 = with_421

    send(batch)

    assert outcomes(batch) == [("sent", 1, "")] * 3
    assert len(smtp.received) == 3
    assert smtp.connections == 2


def test_a_server_that_ends_each_connection_at_once_costs_an_attempt_and_no_endless_loop(smtp):
    smtp.messages_per_connection = 0
    email = EmailFactory()

    send([email])

    state, tried, error = outcome(email)
    assert (state, tried) == ("pending", 1)
    assert error.startswith("SMTPServerDisconnected")
    assert smtp.connections == 1


def test_a_message_that_is_not_answered_is_retried_later_and_the_next_has_a_new_connection(smtp, batch, monkeypatch):
    smtp.hangs_up_after_data = True
    build_message = delivery.build_message

    def build(email, bodies):
        smtp.hangs_up_after_data = email == batch[1]
        return build_message(email, bodies)

    monkeypatch.setattr(delivery, "build_message", build)

    send(batch)

    assert [outcome(email)[:2] for email in batch] == [("sent", 1), ("pending", 1), ("sent", 1)]
    assert len(smtp.received) == 3
    assert smtp.connections == 2


def test_a_refusal_keeps_the_connection(smtp, batch):
    refused, temporarily, accepted = batch
    smtp.refusals = {refused.address: "550 5.1.1 No such user", temporarily.address: "450 4.2.0 Greylisted"}

    send(batch)

    assert outcome(refused) == ("bounced", 1, "550 5.1.1 No such user")
    assert outcome(temporarily) == ("pending", 1, "450 4.2.0 Greylisted")
    assert outcome(accepted) == ("sent", 1, "")
    assert smtp.connections == 1


# One lease


def test_each_email_is_marked_sent_before_the_next_is_sent(smtp, batch, monkeypatch):
    seen = []
    build_message = delivery.build_message

    def build(email, bodies):
        seen.append([outcome(each)[:2] for each in batch])
        return build_message(email, bodies)

    monkeypatch.setattr(delivery, "build_message", build)

    send(batch)

    assert seen == [
        [("pending", 1), ("pending", 0), ("pending", 0)],
        [("sent", 1), ("pending", 1), ("pending", 0)],
        [("sent", 1), ("sent", 1), ("pending", 1)],
    ]


def test_an_email_that_another_worker_has_claimed_is_skipped(smtp, batch):
    actions.claim([batch[1].pk])

    send(batch)

    assert [outcome(email)[:2] for email in batch] == [("sent", 1), ("pending", 0), ("sent", 1)]


def test_a_killed_worker_costs_an_attempt_only_to_the_email_whose_turn_it_was(smtp, batch, monkeypatch):
    build_message = delivery.build_message

    def build(email, bodies):
        if email == batch[1]:
            raise KeyboardInterrupt
        return build_message(email, bodies)

    monkeypatch.setattr(delivery, "build_message", build)
    with pytest.raises(KeyboardInterrupt):
        send(batch)
    monkeypatch.undo()

    assert [outcome(email)[:2] for email in batch] == [("sent", 1), ("pending", 1), ("pending", 0)]
    assert not Email.objects.due().exists()
    expire_leases()
    send_due_emails()
    assert attempts() == [("sent", ""), ("failed", actions.INTERRUPTED)]
    assert set(Email.objects.due()) == set(batch[1:])


def test_an_email_that_was_never_begun_is_not_exhausted_by_killed_workers():
    email = EmailFactory()

    for _ in range(actions.MAXIMUM_ATTEMPTS + 1):
        assert actions.claim([email.pk]) == [email]
        expire_leases()
        send_due_emails()

    assert outcome(email) == ("pending", 0, "")
    assert attempts() == []


def test_when_the_time_is_over_the_rest_is_due_at_once_and_loses_no_attempt(smtp, batch, settings, monkeypatch):
    settings.EMAIL_LEASE = timedelta(seconds=30)
    began_at = delivery.monotonic()
    build_message = delivery.build_message

    def build(email, bodies):
        monkeypatch.setattr(delivery, "monotonic", lambda: began_at + timedelta(seconds=25))
        return build_message(email, bodies)

    monkeypatch.setattr(delivery, "build_message", build)

    send(batch)

    assert smtp.received == []
    assert outcomes(batch) == [
        ("pending", 1, "The worker was delayed for too long to send it within its lease."),
        ("pending", 0, ""),
        ("pending", 0, ""),
    ]
    assert set(Email.objects.due()) == set(batch[1:])


def test_the_rest_that_another_worker_has_claimed_meanwhile_is_not_released(batch):
    claimed = actions.claim([email.pk for email in batch])
    expire_leases()
    actions.claim([batch[0].pk])

    actions.release_unstarted(claimed)

    assert Email.objects.filter(lease_until__gt=Now()).get() == batch[0]


# One reading of the recipients


def test_an_email_costs_two_statements_and_a_batch_eight(smtp, django_assert_num_queries):
    def enqueue(count):
        event = StatusEventFactory()
        return [EmailFactory(event=event, recipient=UserFactory(agent=True)) for _ in range(count)]

    one, ten = enqueue(1), enqueue(10)

    # The ends of the claim's savepoint included.
    with django_assert_num_queries(8 + 2):
        send(one)
    with django_assert_num_queries(8 + 20):
        send(ten)


@pytest.mark.parametrize(("age", "states"), [(5, ["sent", "sent"]), (0, ["sent", "cancelled"])])
def test_what_is_known_of_recipients_is_read_again_when_it_is_old(smtp, batch, monkeypatch, age, states):
    monkeypatch.setattr(delivery, "RECIPIENTS_MAX_AGE", timedelta(seconds=age))
    mark_sent = actions.mark_sent

    def unsubscribe_meanwhile(email):
        mark_sent(email)
        NotificationPreference.objects.get_or_create(
            user=batch[1].recipient, kind=email.kind, channel=Channel.EMAIL, is_enabled=False
        )

    monkeypatch.setattr(actions, "mark_sent", unsubscribe_meanwhile)

    send(batch[:2])

    assert [outcome(email)[0] for email in batch[:2]] == states


def test_each_recipient_is_checked_for_itself(smtp, batch):
    User.objects.filter(pk=batch[0].recipient_id).update(is_active=False)
    NotificationPreference.objects.create(
        user=batch[1].recipient, kind=batch[1].kind, channel=Channel.EMAIL, is_enabled=False
    )
    User.objects.filter(pk=batch[2].recipient_id).update(email="new@example.com")

    send(batch)

    assert outcomes(batch) == [
        ("cancelled", 1, "The recipient is not active."),
        ("cancelled", 1, "The recipient has unsubscribed."),
        ("sent", 1, ""),
    ]
    assert [message["To"] for message in smtp.received] == ["new@example.com"]


# One body for an event and a language


@pytest.fixture
def of_one_event():
    """E-mails about one event to two agents in English and one in Spanish."""
    event = StatusEventFactory()
    agents = [UserFactory(agent=True, language=language) for language in ("en", "en", "es")]
    return [EmailFactory(event=event, recipient=agent) for agent in agents]


def test_a_body_is_rendered_once_for_an_event_and_a_language(smtp, of_one_event, monkeypatch):
    rendered = []
    render = messages.render_body

    def count(email, links):
        rendered.append(email.language)
        return render(email, links)

    monkeypatch.setattr(messages, "render_body", count)

    send(of_one_event)

    assert len(smtp.accepted) == 3
    assert rendered == ["en", "es"]


def test_the_common_body_has_each_recipients_own_link_and_is_what_they_would_get_alone(of_one_event):
    delivery.check_recipients(of_one_event)
    bodies = {}

    for email in of_one_event:
        message = build_message(email, bodies)
        url = messages.get_unsubscribe_url(email.recipient, email.kind)
        alone = messages.render_body(email, {"unsubscribe_url": url})
        assert message.body == alone.text
        assert message.alternatives[0].content == alone.html
        assert url in alone.text
        assert url in alone.html
        assert message.extra_headers["List-Unsubscribe"] == f"<{url}>"
