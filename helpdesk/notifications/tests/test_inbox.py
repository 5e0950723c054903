"""The inbox: who is notified of what, numbered without gaps, and shown only while it may be seen."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from helpdesk.notifications.actions import add_notifications
from helpdesk.notifications.models import Frame, Notification
from helpdesk.subscriptions.models import Channel, NotificationPreference
from helpdesk.subscriptions.recipients import resolve_recipients
from helpdesk.tickets import actions
from helpdesk.tickets.announcer import Announcer
from helpdesk.tickets.models import Priority, Ticket, TicketEvent
from helpdesk.tickets.tests.factories import TicketFactory, by
from helpdesk.users.models import Role, User
from helpdesk.users.tests.factories import UserFactory

from .conftest import add_comment
from .frames import comment_added, status_changed, ticket_created

pytestmark = pytest.mark.django_db

INBOX = "/api/notifications/"


@pytest.fixture
def announce():
    return Announcer().announce_all


@pytest.fixture
def add_comments(announce, ticket, agent):
    """Return a function that adds comments to the customer's ticket, and announces them."""

    def add(count=1):
        for _ in range(count):
            add_comment(ticket, agent)
        announce()

    return add


@pytest.fixture
def inbox(api):
    """Return a function from a user, and a query, to their notifications."""

    def items(user, query=""):
        response = api(user).get(INBOX + query)
        assert response.status_code == 200, response.content
        return response.json()["results"]

    return items


def item(frame):
    """Return the first notification of a stream, of the only event, as the API shows it."""
    event = TicketEvent.objects.get()
    time = event.created_at.isoformat().replace("+00:00", "Z")
    return {"seq": 1, "read_at": None, "v": 2, "id": str(event.uuid), "ts": time, **frame}


def test_agents_are_notified_of_a_new_ticket_as_the_contract_says(announce, inbox, customer, agent, superuser):
    ticket = actions.create_ticket(by(customer), title="Nuevo ticket", description="D", priority=Priority.HIGH)
    announce()

    expected = [item(ticket_created(ticket.pk))]
    assert (inbox(agent), inbox(superuser), inbox(customer)) == (expected, expected, [])


def test_the_creator_is_notified_of_a_changed_status_as_the_contract_says(announce, inbox, customer, agent, ticket):
    actions.update_ticket(by(agent), ticket.pk, changes={"status": "in_progress"})
    announce()

    assert inbox(customer) == [item(status_changed(ticket.pk, title=ticket.title))]
    assert inbox(agent) == []


def test_creator_and_assignee_are_notified_of_a_comment_as_the_contract_says(
    announce, inbox, customer, agent, superuser
):
    ticket = TicketFactory(created_by=customer, assigned_to=agent)
    comment = add_comment(ticket, superuser, "Estamos trabajando en esto...")
    announce()

    expected = [item(comment_added(ticket.pk, comment.pk, title=ticket.title))]
    assert (inbox(customer), inbox(agent), inbox(superuser)) == (expected, expected, [])


def test_many_events_are_added_in_order_with_as_many_queries_as_one(inbox, customer, agent, django_assert_num_queries):
    tickets = [actions.create_ticket(by(customer), title="T", description="D") for _ in range(3)]
    for ticket in tickets:
        add_comment(ticket, agent)
    events = list(TicketEvent.objects.order_by("pk"))

    with django_assert_num_queries(7):
        add_notifications(resolve_recipients(events))

    for user, expected in ((agent, events[:3]), (customer, events[3:])):
        assert [(one["seq"], one["id"]) for one in inbox(user, "?after_seq=0")] == [
            (number, str(event.uuid)) for number, event in enumerate(expected, start=1)
        ]


@pytest.mark.parametrize(("author", "notified"), [("customer", "agatha"), ("agent", "alice")])
def test_nobody_is_notified_of_their_own_comment(announce, inbox, request, customer, agent, author, notified):
    ticket = TicketFactory(created_by=customer, assigned_to=agent)
    add_comment(ticket, request.getfixturevalue(author))
    announce()

    assert [user.username for user in (customer, agent) if inbox(user)] == [notified]


@pytest.mark.parametrize(
    "changes", [{"title": "New"}, {"description": "New"}, {"priority": Priority.LOW}, {"assigned_to": None}]
)
def test_nobody_is_notified_of_other_changes(announce, customer, agent, changes):
    ticket = TicketFactory(created_by=customer, assigned_to=agent)
    actions.update_ticket(by(agent), ticket.pk, changes=changes)
    announce()

    assert not Notification.objects.exists()


def test_inactive_users_are_not_notified(announce, customer, agent, ticket):
    User.objects.update(is_active=False)
    actions.create_ticket(by(customer), title="T", description="D")
    add_comment(ticket, agent)
    announce()

    assert not Notification.objects.exists()


def test_each_stream_has_its_own_numbers_without_gaps(announce, inbox, customer, agent):
    tickets = [TicketFactory(created_by=user, assigned_to=agent) for user in (customer, UserFactory(), customer)]
    for ticket in tickets * 2:
        add_comment(ticket, ticket.created_by)
        actions.update_ticket(by(agent), ticket.pk, changes={"status": "closed"})
    announce()

    assert [one["seq"] for one in inbox(agent)] == [6, 5, 4, 3, 2, 1]
    assert [one["seq"] for one in inbox(customer)] == [2, 1]


def disable(user, kind, channel):
    NotificationPreference.objects.create(user=user, kind=kind, channel=channel, is_enabled=False)


def test_a_disabled_kind_takes_no_number(announce, inbox, customer, agent, ticket):
    disable(customer, "comment_added", Channel.LIVE)
    disable(customer, "status_changed", Channel.EMAIL)
    Ticket.objects.update(assigned_to=agent)
    for status in ("in_progress", "resolved"):
        actions.update_ticket(by(agent), ticket.pk, changes={"status": status})
        add_comment(ticket, UserFactory(agent=True))
    announce()

    assert [(one["seq"], one["type"]) for one in inbox(customer)] == [(2, "status_changed"), (1, "status_changed")]
    assert [(one["seq"], one["type"]) for one in inbox(agent)] == [(2, "comment_added"), (1, "comment_added")]


def test_an_event_without_recipients_is_announced_and_has_no_frame(add_comments, customer):
    disable(customer, "comment_added", Channel.LIVE)
    add_comments()

    assert not Notification.objects.exists()
    assert not Frame.objects.exists()
    assert not TicketEvent.objects.unannounced().exists()


def test_nobody_is_notified_of_an_event_of_a_deleted_ticket(announce, agent, ticket):
    add_comment(ticket, agent)
    actions.delete_ticket(by(agent), ticket.pk)
    announce()

    assert not Notification.objects.exists()
    assert not TicketEvent.objects.unannounced().exists()


def test_a_notification_that_may_no_longer_be_seen_is_withdrawn_and_keeps_its_number(
    announce, inbox, customer, agent, ticket
):
    actions.create_ticket(by(customer), title="Secret", description="D")
    announce()
    withdrawn = [item({"type": "withdrawn", "message": "This is no longer available"})]

    User.objects.filter(pk=agent.pk).update(role=Role.CUSTOMER)
    assert inbox(agent) == withdrawn
    User.objects.filter(pk=agent.pk).update(role=Role.AGENT)
    Ticket.objects.exclude(pk=ticket.pk).delete()
    assert inbox(agent) == withdrawn


def test_notifications_after_a_number_are_listed_oldest_first(add_comments, inbox, customer):
    add_comments(3)

    assert [one["seq"] for one in inbox(customer, "?after_seq=1")] == [2, 3]
    assert [one["seq"] for one in inbox(customer, "?after_seq=0")] == [1, 2, 3]
    assert inbox(customer, "?after_seq=3") == []


def test_one_or_all_are_marked_as_read(add_comments, api, inbox, customer):
    add_comments(4)
    client = api(customer)

    assert client.get(f"{INBOX}unread/").json() == {"unread": 4}
    assert client.post(f"{INBOX}2/read/").status_code == 204
    assert client.get(f"{INBOX}unread/").json() == {"unread": 3}
    assert client.post(f"{INBOX}read/", {"up_to_seq": 3}).json() == {"unread": 1}
    assert [one["seq"] for one in inbox(customer, "?unread=true")] == [4]
    assert [one["seq"] for one in inbox(customer, "?unread=false")] == [3, 2, 1]


def test_marking_up_to_0_marks_nothing(add_comments, api, customer):
    assert api(customer).post(f"{INBOX}read/", {"up_to_seq": 0}).json() == {"unread": 0}
    add_comments()

    response = api(customer).post(f"{INBOX}read/", {"up_to_seq": 0})

    assert (response.status_code, response.json()) == (200, {"unread": 1})
    assert api(customer).post(f"{INBOX}read/", {"up_to_seq": -1}).status_code == 400


def test_reading_twice_keeps_the_first_time(add_comments, api, inbox, customer):
    add_comments()
    api(customer).post(f"{INBOX}1/read/")
    first_time = inbox(customer)[0]["read_at"]

    api(customer).post(f"{INBOX}1/read/")

    assert inbox(customer)[0]["read_at"] == first_time


def test_another_users_notifications_do_not_exist(add_comments, api, inbox, customer, stranger):
    add_comments()

    assert inbox(stranger) == []
    assert api(stranger).post(f"{INBOX}1/read/").status_code == 404
    assert api(stranger).post(f"{INBOX}read/", {"up_to_seq": 9}).json() == {"unread": 0}
    assert api(customer).get(f"{INBOX}unread/").json() == {"unread": 1}


@pytest.mark.parametrize(("method", "path"), [("get", ""), ("get", "unread/"), ("post", "1/read/"), ("post", "read/")])
def test_without_a_token_there_is_no_inbox(api, method, path):
    assert getattr(api(), method)(INBOX + path).status_code == 401


@pytest.mark.parametrize("query", ["?unread=maybe", "?after_seq=-1", "?after_seq=x"])
def test_a_bad_filter_is_400(api, customer, query):
    assert api(customer).get(INBOX + query).status_code == 400


@pytest.mark.parametrize("size", [1, 20])
def test_the_inbox_costs_the_same_queries_at_any_length(add_comments, api, customer, size):
    add_comments(size)
    client = api(customer)

    with CaptureQueriesContext(connection) as queries:
        client.get(INBOX)

    assert len(queries) == 3
