"""The inbox: who is told what, numbered without holes, and shown only while it may be seen."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from helpdesk.notifications.actions import fill_inboxes
from helpdesk.notifications.models import Frame, Notification
from helpdesk.subscriptions.models import Channel, NotificationPreference
from helpdesk.subscriptions.recipients import resolve_recipients
from helpdesk.tickets import actions
from helpdesk.tickets.actions import Origin
from helpdesk.tickets.announcer import Announcer
from helpdesk.tickets.models import EventSource, Priority, Ticket, TicketEvent
from helpdesk.tickets.tests.factories import TicketFactory
from helpdesk.users.models import Role, User
from helpdesk.users.tests.factories import UserFactory

pytestmark = pytest.mark.django_db

INBOX = "/api/notifications/"


def by(user):
    return Origin(user, EventSource.API)


@pytest.fixture
def announce():
    return Announcer().announce_all


@pytest.fixture
def inbox(api):
    """Return a function from a user, and a query, to their notifications."""

    def items(user, query=""):
        response = api(user).get(INBOX + query)
        assert response.status_code == 200, response.content
        return response.json()["results"]

    return items


def utc(moment):
    return moment.isoformat().replace("+00:00", "Z")


def head(event):
    return {"seq": 1, "read_at": None, "v": 2, "id": str(event.uuid), "ts": utc(event.created_at)}


def test_agents_are_told_of_a_new_ticket_as_the_contract_says(announce, inbox, customer, agent, superuser):
    ticket = actions.create_ticket(by(customer), title="Nuevo ticket", description="D", priority=Priority.HIGH)
    announce()

    told = {
        **head(TicketEvent.objects.get()),
        "type": "ticket_created",
        "ticket": {
            "id": ticket.pk,
            "title": "Nuevo ticket",
            "priority": "high",
            "status": "open",
            "created_by": "alice",
        },
        "message": f"New ticket #{ticket.pk}: Nuevo ticket",
    }
    assert inbox(agent) == [told]
    assert inbox(superuser) == [told]
    assert inbox(customer) == []


def test_the_creator_is_told_of_a_changed_status_as_the_contract_says(announce, inbox, customer, agent, ticket):
    actions.update_ticket(by(agent), ticket.pk, changes={"status": "in_progress"})
    announce()

    assert inbox(customer) == [
        {
            **head(TicketEvent.objects.get()),
            "type": "status_changed",
            "ticket": {"id": ticket.pk, "title": ticket.title, "old_status": "open", "new_status": "in_progress"},
            "message": f"Ticket #{ticket.pk} status changed to In Progress",
        },
    ]
    assert inbox(agent) == []


def test_creator_and_assignee_are_told_of_a_comment_as_the_contract_says(announce, inbox, customer, agent, superuser):
    ticket = TicketFactory(created_by=customer, assigned_to=agent)
    comment = actions.add_comment(by(superuser), ticket.pk, content="Estamos trabajando en esto...")
    announce()

    told = {
        **head(TicketEvent.objects.get()),
        "type": "comment_added",
        "ticket": {"id": ticket.pk, "title": ticket.title},
        "comment": {"id": comment.pk, "author": "root", "content": "Estamos trabajando en esto..."},
        "message": f"New comment on ticket #{ticket.pk}",
    }
    assert inbox(customer) == [told]
    assert inbox(agent) == [told]
    assert inbox(superuser) == []


def test_many_events_are_told_in_order_with_as_many_queries_as_one(inbox, customer, agent, django_assert_num_queries):
    tickets = [actions.create_ticket(by(customer), title="T", description="D") for _ in range(3)]
    for ticket in tickets:
        actions.add_comment(by(agent), ticket.pk, content="Hello")
    events = list(TicketEvent.objects.order_by("pk"))

    with django_assert_num_queries(7):
        fill_inboxes(resolve_recipients(events))

    assert [(told["seq"], told["id"]) for told in inbox(agent, "?after_seq=0")] == [
        (number, str(event.uuid)) for number, event in enumerate(events[:3], start=1)
    ]
    assert [(told["seq"], told["id"]) for told in inbox(customer, "?after_seq=0")] == [
        (number, str(event.uuid)) for number, event in enumerate(events[3:], start=1)
    ]


@pytest.mark.parametrize("author", ["customer", "agent"])
def test_nobody_is_told_of_their_own_comment(announce, inbox, request, customer, agent, author):
    ticket = TicketFactory(created_by=customer, assigned_to=agent)
    actions.add_comment(by(request.getfixturevalue(author)), ticket.pk, content="Hello")
    announce()

    heard = {user.username for user in (customer, agent) if inbox(user)}

    assert heard == {"alice", "agatha"} - {request.getfixturevalue(author).username}


@pytest.mark.parametrize(
    "changes", [{"title": "New"}, {"description": "New"}, {"priority": Priority.LOW}, {"assigned_to": None}]
)
def test_nobody_is_told_of_other_changes(announce, customer, agent, changes):
    ticket = TicketFactory(created_by=customer, assigned_to=agent)
    actions.update_ticket(by(agent), ticket.pk, changes=changes)
    announce()

    assert not Notification.objects.exists()


def test_inactive_users_are_told_nothing(announce, customer, agent, ticket):
    User.objects.update(is_active=False)
    actions.create_ticket(by(customer), title="T", description="D")
    actions.add_comment(by(agent), ticket.pk, content="Hello")
    announce()

    assert not Notification.objects.exists()


def test_numbers_have_no_holes_and_each_user_has_their_own(announce, inbox, customer, agent):
    tickets = [TicketFactory(created_by=user, assigned_to=agent) for user in (customer, UserFactory(), customer)]
    for ticket in tickets * 2:
        actions.add_comment(by(ticket.created_by), ticket.pk, content="Hello")
        actions.update_ticket(by(agent), ticket.pk, changes={"status": "closed"})
    announce()

    assert [item["seq"] for item in inbox(agent)] == [6, 5, 4, 3, 2, 1]
    assert [item["seq"] for item in inbox(customer)] == [2, 1]


def test_a_muted_kind_takes_no_number_and_others_go_on_without_a_hole(announce, inbox, customer, agent, ticket):
    NotificationPreference.objects.create(user=customer, kind="comment_added", channel=Channel.LIVE, is_enabled=False)
    NotificationPreference.objects.create(
        user=customer, kind="status_changed", channel=Channel.EMAIL, is_enabled=False
    )
    Ticket.objects.update(assigned_to=agent)
    for status in ("in_progress", "resolved"):
        actions.update_ticket(by(agent), ticket.pk, changes={"status": status})
        actions.add_comment(by(UserFactory(agent=True)), ticket.pk, content="Hello")
    announce()

    assert [(item["seq"], item["type"]) for item in inbox(customer)] == [(2, "status_changed"), (1, "status_changed")]
    assert [(item["seq"], item["type"]) for item in inbox(agent)] == [(2, "comment_added"), (1, "comment_added")]


def test_what_everybody_has_muted_is_announced_to_nobody(announce, customer, agent, ticket):
    NotificationPreference.objects.create(user=customer, kind="comment_added", channel=Channel.LIVE, is_enabled=False)
    actions.add_comment(by(agent), ticket.pk, content="Hello")
    announce()

    assert not Notification.objects.exists()
    assert not Frame.objects.exists()
    assert not TicketEvent.objects.unannounced().exists()


def test_an_event_of_a_deleted_ticket_is_told_nobody(announce, agent, ticket):
    actions.add_comment(by(agent), ticket.pk, content="Hello")
    actions.delete_ticket(by(agent), ticket.pk)
    announce()

    assert not Notification.objects.exists()
    assert not TicketEvent.objects.unannounced().exists()


def test_what_one_may_see_no_longer_is_withdrawn_and_keeps_its_number(announce, inbox, customer, agent, ticket):
    actions.create_ticket(by(customer), title="Secret", description="D")
    announce()
    event = TicketEvent.objects.get()
    gone = [{**head(event), "type": "withdrawn", "message": "This is no longer available"}]

    User.objects.filter(pk=agent.pk).update(role=Role.CUSTOMER)
    assert inbox(agent) == gone
    User.objects.filter(pk=agent.pk).update(role=Role.AGENT)
    Ticket.objects.exclude(pk=ticket.pk).delete()
    assert inbox(agent) == gone


def test_what_came_after_a_number_is_told_oldest_first(announce, inbox, customer, agent, ticket):
    for _ in range(3):
        actions.add_comment(by(agent), ticket.pk, content="Hello")
    announce()

    assert [item["seq"] for item in inbox(customer, "?after_seq=1")] == [2, 3]
    assert [item["seq"] for item in inbox(customer, "?after_seq=0")] == [1, 2, 3]
    assert inbox(customer, "?after_seq=3") == []


def test_one_or_all_are_marked_as_read(announce, api, inbox, customer, agent, ticket):
    for _ in range(4):
        actions.add_comment(by(agent), ticket.pk, content="Hello")
    announce()
    client = api(customer)

    assert client.get(f"{INBOX}unread/").json() == {"unread": 4}
    assert client.post(f"{INBOX}2/read/").status_code == 204
    assert client.get(f"{INBOX}unread/").json() == {"unread": 3}
    assert client.post(f"{INBOX}read/", {"up_to_seq": 3}).json() == {"unread": 1}
    assert [item["seq"] for item in inbox(customer, "?unread=true")] == [4]
    assert [item["seq"] for item in inbox(customer, "?unread=false")] == [3, 2, 1]


def test_marking_up_to_0_marks_nothing(announce, api, customer, agent, ticket):
    assert api(customer).post(f"{INBOX}read/", {"up_to_seq": 0}).json() == {"unread": 0}
    actions.add_comment(by(agent), ticket.pk, content="Hello")
    announce()

    response = api(customer).post(f"{INBOX}read/", {"up_to_seq": 0})

    assert (response.status_code, response.json()) == (200, {"unread": 1})
    assert api(customer).post(f"{INBOX}read/", {"up_to_seq": -1}).status_code == 400


def test_reading_twice_keeps_the_first_time(announce, api, inbox, customer, agent, ticket):
    actions.add_comment(by(agent), ticket.pk, content="Hello")
    announce()
    api(customer).post(f"{INBOX}1/read/")
    first_time = inbox(customer)[0]["read_at"]

    api(customer).post(f"{INBOX}1/read/")

    assert inbox(customer)[0]["read_at"] == first_time


def test_another_users_notifications_do_not_exist(announce, api, inbox, customer, stranger, agent, ticket):
    actions.add_comment(by(agent), ticket.pk, content="Hello")
    announce()

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
def test_the_inbox_costs_the_same_queries_whatever_its_length(announce, api, customer, agent, ticket, size):
    for _ in range(size):
        actions.add_comment(by(agent), ticket.pk, content="Hello")
    announce()
    client = api(customer)

    with CaptureQueriesContext(connection) as queries:
        client.get(INBOX)

    assert len(queries) == 3
