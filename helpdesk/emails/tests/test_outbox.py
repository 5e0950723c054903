"""Every event enqueues exactly one e-mail for each of its recipients."""

import pytest
from django.db import IntegrityError, transaction
from kombu.exceptions import OperationalError as BrokerError

from helpdesk.emails import actions as email_actions
from helpdesk.emails import receivers, tasks
from helpdesk.emails.models import Email
from helpdesk.emails.tests.factories import EmailFactory
from helpdesk.subscriptions.models import Channel, NotificationPreference
from helpdesk.subscriptions.recipients import resolve_recipients
from helpdesk.tickets import actions
from helpdesk.tickets.models import Priority, TicketEvent
from helpdesk.tickets.tests.factories import TicketFactory, by
from helpdesk.users.models import User
from helpdesk.users.tests.factories import UserFactory

pytestmark = pytest.mark.django_db


def enqueued():
    return sorted(Email.objects.values_list("address", "subject"))


def test_a_new_ticket_is_emailed_to_every_agent(announce, customer, agent, superuser):
    UserFactory(agent=True, is_active=False)

    ticket = actions.create_ticket(by(customer), title="Printer on fire", description="D")
    announce()

    subject = f"[Ticket #{ticket.pk}] Printer on fire"
    assert enqueued() == [("agatha@example.com", subject), ("root@example.com", subject)]


def test_a_status_change_is_emailed_to_the_creator(announce, customer, agent, superuser):
    ticket = TicketFactory(created_by=customer, assigned_to=superuser)

    actions.update_ticket(by(agent), ticket.pk, changes={"status": "resolved", "priority": Priority.LOW})
    announce()

    assert enqueued() == [("alice@example.com", f"[Ticket #{ticket.pk}] Status Updated")]


@pytest.mark.parametrize(
    ("author", "addresses"),
    [
        ("customer", ["agatha@example.com"]),
        ("agent", ["alice@example.com"]),
        ("superuser", ["agatha@example.com", "alice@example.com"]),
    ],
)
def test_a_comment_is_emailed_to_creator_and_assignee_but_not_its_author(
    announce, request, customer, agent, author, addresses
):
    ticket = TicketFactory(created_by=customer, assigned_to=agent)

    actions.add_comment(by(request.getfixturevalue(author)), ticket.pk, content="Hello")
    announce()

    assert enqueued() == [(address, f"[Ticket #{ticket.pk}] New Comment") for address in addresses]


@pytest.mark.parametrize(
    "changes", [{"title": "New"}, {"description": "New"}, {"priority": Priority.LOW}, {"assigned_to": None}]
)
def test_other_changes_enqueue_nothing(announce, customer, agent, changes):
    ticket = TicketFactory(created_by=customer, assigned_to=agent)

    actions.update_ticket(by(agent), ticket.pk, changes=changes)
    announce()

    assert enqueued() == []


def test_the_subject_is_english_and_the_language_is_the_recipients(announce, agent):
    carmen = UserFactory(language="es")
    ticket = TicketFactory(created_by=carmen)

    actions.update_ticket(by(agent), ticket.pk, changes={"status": "closed"})
    announce()

    assert Email.objects.values("subject", "language").get() == {
        "subject": f"[Ticket #{ticket.pk}] Status Updated",
        "language": "es",
    }


def test_control_characters_in_a_title_are_removed_from_the_subject(announce, customer, agent):
    title = "Pay\r\nBcc: all@example.com\u2028now\x00"[:-1]
    ticket = actions.create_ticket(by(customer), title=title, description="D")
    announce()

    assert enqueued() == [("agatha@example.com", f"[Ticket #{ticket.pk}] PayBcc: all@example.comnow")]


def test_an_event_that_is_announced_twice_enqueues_once(announce, customer, agent):
    actions.create_ticket(by(customer), title="T", description="D")
    announce()
    TicketEvent.objects.update(announced_at=None)

    email_actions.enqueue_ticket_emails(resolve_recipients([TicketEvent.objects.get()]))

    assert Email.objects.count() == 1


def test_the_database_refuses_a_second_row_for_an_event_and_recipient(customer):
    email = EmailFactory()

    with pytest.raises(IntegrityError, match="emails_email_event_recipient_unique"), transaction.atomic():
        EmailFactory(event=email.event)


def test_recipients_who_have_unsubscribed_are_left_out(announce, customer, agent, superuser):
    NotificationPreference.objects.create(user=agent, kind="ticket_created", channel=Channel.EMAIL, is_enabled=False)
    NotificationPreference.objects.create(
        user=superuser, kind="comment_added", channel=Channel.EMAIL, is_enabled=False
    )
    NotificationPreference.objects.create(
        user=superuser, kind="ticket_created", channel=Channel.LIVE, is_enabled=False
    )

    actions.create_ticket(by(customer), title="T", description="D")
    announce()

    assert [address for address, _subject in enqueued()] == ["root@example.com"]


def test_inactive_users_and_deleted_tickets_enqueue_nothing(announce, customer, agent, ticket):
    actions.add_comment(by(agent), ticket.pk, content="Hello")
    actions.delete_ticket(by(agent), ticket.pk)
    actions.create_ticket(by(customer), title="T", description="D")
    User.objects.update(is_active=False)
    announce()

    assert enqueued() == []
    assert not TicketEvent.objects.unannounced().exists()


def test_emails_are_passed_to_the_workers_after_the_commit(
    announce, customer, agent, superuser, monkeypatch, django_capture_on_commit_callbacks
):
    queued = []
    monkeypatch.setattr(receivers.delivery_queue, "put", queued.extend)
    actions.create_ticket(by(customer), title="T", description="D")

    with django_capture_on_commit_callbacks() as callbacks:
        announce()

    assert queued == []
    for call in callbacks:
        call()
    assert sorted(queued) == sorted(Email.objects.values_list("pk", flat=True))


def test_without_the_broker_emails_are_left_to_the_sweep(announce, customer, agent, monkeypatch, caplog):
    def refuse(*args, **options):
        raise BrokerError("refused")

    monkeypatch.setattr(tasks.send_emails, "apply_async", refuse)
    actions.create_ticket(by(customer), title="T", description="D")
    announce()

    receivers.queue_ticket_emails([[email.pk] for email in Email.objects.all()])

    assert "1 e-mails left to the sweep (refused)" in caplog.text
    assert Email.objects.due().count() == 1


def test_many_events_are_enqueued_with_four_queries(announce, customer, agent, django_assert_num_queries):
    tickets = [actions.create_ticket(by(customer), title="T", description="D") for _ in range(3)]
    for ticket in tickets:
        actions.add_comment(by(agent), ticket.pk, content="Hello")

    events = list(TicketEvent.objects.order_by("pk"))

    with django_assert_num_queries(4):
        email_actions.enqueue_ticket_emails(resolve_recipients(events))

    assert Email.objects.count() == 6
