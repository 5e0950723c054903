"""Every write takes the lock, records its event, increments the version, and is rolled back when it fails."""

import pytest
from django.core.exceptions import ValidationError
from django.db import OperationalError, connection
from django.db.models import ProtectedError
from django.test.utils import CaptureQueriesContext

from helpdesk.tickets import actions
from helpdesk.tickets.actions import Origin
from helpdesk.tickets.models import Comment, EventSource, Priority, SearchDocument, Status, Ticket, TicketEvent
from helpdesk.tickets.tests.factories import TicketFactory, by

pytestmark = pytest.mark.django_db

LOCK = "FOR NO KEY UPDATE OF"


@pytest.fixture
def origin(agent):
    return by(agent)


def events():
    return list(TicketEvent.objects.values_list("kind", "actor__username", "source", "old", "new", "comment_id"))


def test_creating_a_ticket_is_recorded(customer):
    actions.create_ticket(
        Origin(customer, EventSource.COMMAND),
        title="No sound",
        description="None at all",
        priority=Priority.URGENT,
    )

    first_values = {"title": "No sound", "status": "open", "priority": "urgent"}
    assert events() == [("ticket_created", "alice", "command", None, first_values, None)]


@pytest.mark.parametrize(
    ("field", "value", "kind", "old", "new"),
    [
        ("status", Status.RESOLVED, "status_changed", "open", "resolved"),
        ("priority", Priority.LOW, "priority_changed", "medium", "low"),
        ("title", "Solved", "title_changed", "No sound", "Solved"),
        ("description", "It works.", "description_changed", "It only blinks.", "It works."),
    ],
)
def test_a_change_is_recorded_with_old_and_new(origin, field, value, kind, old, new):
    ticket = TicketFactory(title="No sound")

    actions.update_ticket(origin, ticket.pk, changes={field: value})

    assert events() == [(kind, "agatha", "api", old, new, None)]


def test_an_assignment_is_recorded_with_id_and_username(origin, agent, superuser, ticket):
    actions.update_ticket(origin, ticket.pk, changes={"assigned_to": agent})
    actions.update_ticket(origin, ticket.pk, changes={"assigned_to": superuser})
    actions.update_ticket(origin, ticket.pk, changes={"assigned_to": None})

    agatha, root = ({"id": user.pk, "username": user.username} for user in (agent, superuser))
    assert [(kind, old, new) for kind, _, _, old, new, _ in events()] == [
        ("assignee_changed", None, agatha),
        ("assignee_changed", agatha, root),
        ("assignee_changed", root, None),
    ]


def test_a_comment_is_recorded_and_counted(origin, ticket):
    comment = actions.add_comment(origin, ticket.pk, content="On it")

    ticket.refresh_from_db()
    assert events() == [("comment_added", "agatha", "api", None, None, comment.pk)]
    assert ticket.comments_count == 1
    assert ticket.last_comment_at == ticket.updated_at == comment.created_at


def test_events_are_kept_when_their_ticket_is_deleted(origin, ticket):
    actions.add_comment(origin, ticket.pk, content="Goodbye")

    actions.delete_ticket(origin, ticket.pk)

    assert [(kind, old) for kind, _, _, old, _, _ in events()] == [
        ("comment_added", None),
        ("ticket_deleted", ticket.title),
    ]
    assert not Ticket.objects.exists()
    assert not Comment.objects.exists()
    assert not SearchDocument.objects.exists()


def test_setting_a_value_that_is_set_already_writes_nothing(origin, ticket):
    actions.update_ticket(origin, ticket.pk, changes={"status": "open", "title": ticket.title})

    assert events() == []
    assert Ticket.objects.get().version == 1


@pytest.mark.parametrize(
    "write",
    [
        lambda origin, ticket: actions.update_ticket(origin, ticket.pk, changes={"status": "closed", "priority": 1}),
        lambda origin, ticket: actions.add_comment(origin, ticket.pk, content="On it"),
        lambda origin, ticket: actions.delete_ticket(origin, ticket.pk),
    ],
)
def test_every_write_takes_the_tickets_lock_first(origin, ticket, write):
    with CaptureQueriesContext(connection) as queries:
        write(origin, ticket)

    statements = [query["sql"] for query in queries if not query["sql"].startswith("SAVEPOINT")]
    assert LOCK in statements[0]
    assert '"tickets_ticket"' in statements[0]


def test_each_write_increments_the_version(origin, ticket):
    actions.update_ticket(origin, ticket.pk, changes={"status": "closed", "priority": Priority.LOW})
    actions.add_comment(origin, ticket.pk, content="Done")

    assert Ticket.objects.get().version == 3


@pytest.mark.parametrize(
    "write",
    [
        lambda origin, ticket: actions.create_ticket(origin, title="T", description="D"),
        lambda origin, ticket: actions.update_ticket(origin, ticket.pk, changes={"title": "New", "status": "closed"}),
        lambda origin, ticket: actions.add_comment(origin, ticket.pk, content="On it"),
        lambda origin, ticket: actions.delete_ticket(origin, ticket.pk),
    ],
)
def test_a_write_that_fails_at_its_end_leaves_nothing(origin, ticket, write):
    def snapshot():
        return [
            list(model.objects.order_by("pk").values()) for model in (Ticket, Comment, TicketEvent, SearchDocument)
        ]

    def fail_once(execute, sql, params, many, context):
        if sql.startswith("RELEASE SAVEPOINT") and not failed:
            failed.append(sql)
            raise OperationalError
        return execute(sql, params, many, context)

    failed, before = [], snapshot()

    with connection.execute_wrapper(fail_once), pytest.raises(OperationalError):
        write(origin, ticket)

    assert snapshot() == before


def test_an_inactive_agent_cannot_be_assigned(origin, ticket, superuser):
    superuser.is_active = False
    superuser.save()

    with pytest.raises(ValidationError, match="Only agents"):
        actions.update_ticket(origin, ticket.pk, changes={"assigned_to": superuser})


def test_actions_are_limited_to_the_tickets_that_their_actor_sees(stranger, ticket):
    origin = by(stranger)

    for write in (
        lambda: actions.add_comment(origin, ticket.pk, content="Hello"),
        lambda: actions.update_ticket(origin, ticket.pk, changes={"status": "closed"}),
        lambda: actions.delete_ticket(origin, ticket.pk),
    ):
        with pytest.raises(Ticket.DoesNotExist):
            write()
    assert events() == []


def test_unassigning_a_former_agent_is_recorded(superuser, agent):
    ticket = TicketFactory(assigned_to=agent)

    actions.unassign_tickets(Origin(superuser, EventSource.ADMIN), agent)

    ticket.refresh_from_db()
    assert ticket.assigned_to is None
    assert [(kind, actor, source) for kind, actor, source, *_ in events()] == [("assignee_changed", "root", "admin")]


def test_the_timeline_lists_events_in_order(api, agent, customer):
    ticket_id = api(customer).post("/api/tickets/", {"title": "No sound", "description": "None"}).json()["id"]
    api(agent).patch(f"/api/tickets/{ticket_id}/", {"status": "resolved"})
    api(customer).post("/api/comments/", {"ticket": ticket_id, "content": "Thanks"})

    timeline = api(customer).get(f"/api/tickets/{ticket_id}/events/").json()

    assert [(item["kind"], item["actor"]["username"], item["old"], item["new"]) for item in timeline["results"]] == [
        ("ticket_created", "alice", None, {"title": "No sound", "status": "open", "priority": "medium"}),
        ("status_changed", "agatha", "open", "resolved"),
        ("comment_added", "alice", None, None),
    ]
    assert timeline["results"][2]["comment"] == Comment.objects.get().pk
    assert timeline["count"] == 3


def test_users_with_tickets_cannot_be_deleted(customer, ticket):
    with pytest.raises(ProtectedError):
        customer.delete()
