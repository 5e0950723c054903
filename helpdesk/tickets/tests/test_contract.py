"""The shapes that clients rely on, exactly."""

from datetime import timedelta

import pytest
from django.utils import timezone

from helpdesk.tickets import actions
from helpdesk.tickets.models import Priority, Status, Ticket
from helpdesk.tickets.tests.factories import CommentFactory, TicketFactory, by

pytestmark = pytest.mark.django_db


def utc(moment):
    return moment.isoformat().replace("+00:00", "Z")


def summary(user):
    return {"id": user.pk, "username": user.username, "name": user.name, "role": user.role}


def ids(response):
    return [item["id"] for item in response.json()["results"]]


def test_a_list_item_has_exactly_the_core(api, agent, customer):
    ticket = TicketFactory(created_by=customer, title="No sound", priority=Priority.HIGH, assigned_to=agent)

    page = api(customer).get("/api/tickets/").json()

    assert page == {
        "count": 1,
        "next": None,
        "previous": None,
        "count_is_exact": True,
        "results": [
            {
                "id": ticket.pk,
                "title": "No sound",
                "status": "open",
                "priority": "high",
                "created_by": summary(customer),
                "assigned_to": summary(agent),
                "comments_count": 0,
                "last_comment_at": None,
                "created_at": utc(ticket.created_at),
                "updated_at": utc(ticket.updated_at),
            },
        ],
    }


def test_a_ticket_has_its_description_and_comments_oldest_first(api, agent, customer, ticket):
    comments = [
        actions.add_comment(by(author), ticket.pk, content=content)
        for author, content in [(customer, "It still does not print."), (agent, "Is it plugged in?")]
    ]

    body = api(customer).get(f"/api/tickets/{ticket.pk}/").json()

    assert body["description"] == ticket.description
    assert body["comments"] == [
        {
            "id": comment.pk,
            "ticket": ticket.pk,
            "author": summary(comment.author),
            "content": comment.content,
            "created_at": utc(comment.created_at),
        }
        for comment in comments
    ]
    assert body["comments_count"] == 2
    assert body["last_comment_at"] == utc(comments[1].created_at)


def test_a_new_ticket_is_open_unassigned_and_the_callers_own(api, agent, customer):
    response = api(customer).post(
        "/api/tickets/",
        {
            "title": "Nuevo ticket",
            "description": "No enciende",
            "priority": "high",
            "status": "closed",
            "assigned_to": agent.pk,
            "created_by": agent.pk,
            "id": 77,
            "version": 9,
        },
    )

    assert response.status_code == 201
    assert Ticket.objects.values("id", "status", "assigned_to", "created_by", "version").get() == {
        "id": response.json()["id"],
        "status": "open",
        "assigned_to": None,
        "created_by": customer.pk,
        "version": 1,
    }
    assert response.json()["id"] != 77
    assert response.json() | {"id": 0, "created_at": "", "updated_at": ""} == {
        "id": 0,
        "title": "Nuevo ticket",
        "status": "open",
        "priority": "high",
        "created_by": summary(customer),
        "assigned_to": None,
        "comments_count": 0,
        "last_comment_at": None,
        "created_at": "",
        "updated_at": "",
        "description": "No enciende",
        "comments": [],
        "older_comments": None,
    }


def test_priority_is_medium_unless_said_otherwise(api, customer):
    response = api(customer).post("/api/tickets/", {"title": "T", "description": "D"})

    assert response.json()["priority"] == "medium"


@pytest.mark.parametrize("method", ["patch", "put"])
def test_an_agent_changes_some_fields_and_the_rest_stays(api, agent, ticket, method):
    response = getattr(api(agent), method)(
        f"/api/tickets/{ticket.pk}/",
        {"status": "in_progress", "assigned_to": agent.pk},
    )

    assert response.status_code == 200
    assert response.json()["status"] == "in_progress"
    assert response.json()["assigned_to"] == summary(agent)
    assert response.json()["title"] == ticket.title
    assert response.json()["created_by"]["username"] == "alice"


def test_assigned_to_null_takes_the_assignee_away(api, agent):
    ticket = TicketFactory(assigned_to=agent)

    response = api(agent).patch(f"/api/tickets/{ticket.pk}/", {"assigned_to": None})

    assert response.json()["assigned_to"] is None


@pytest.mark.parametrize("before", Status.values)
@pytest.mark.parametrize("after", Status.values)
def test_an_agent_may_set_any_status_from_any_status(api, agent, before, after):
    ticket = TicketFactory(status=before)

    response = api(agent).patch(f"/api/tickets/{ticket.pk}/", {"status": after})

    assert response.status_code == 200
    assert response.json()["status"] == after


def test_only_agents_can_be_assignees(api, agent, customer, ticket):
    response = api(agent).patch(f"/api/tickets/{ticket.pk}/", {"assigned_to": customer.pk, "status": "closed"})

    ticket.refresh_from_db()
    assert response.status_code == 400
    assert response.json()["errors"] == [
        {"pointer": "#/assigned_to", "code": "not_an_agent", "detail": "Only agents can be assignees."},
    ]
    assert ticket.assigned_to is None
    assert ticket.status == "open"


def test_a_comment_is_by_the_caller(api, agent, customer, ticket):
    response = api(customer).post(
        "/api/comments/",
        {"ticket": ticket.pk, "content": "Still broken", "author": agent.pk},
    )

    assert response.status_code == 201
    assert response.json() | {"id": 0, "created_at": ""} == {
        "id": 0,
        "ticket": ticket.pk,
        "author": summary(customer),
        "content": "Still broken",
        "created_at": "",
    }


def test_comments_of_a_ticket_come_in_pages_oldest_first(api, customer, ticket):
    comments = [CommentFactory(ticket=ticket, author=customer) for _ in range(21)]
    CommentFactory()

    first = api(customer).get(f"/api/comments/?ticket={ticket.pk}")
    second = api(customer).get(f"/api/comments/?ticket={ticket.pk}&page=2")

    assert ids(first) == [comment.pk for comment in comments[:20]]
    assert ids(second) == [comments[20].pk]
    assert first.json()["count"] == 21


def test_pages_hold_20_tickets_newest_first_and_link_to_each_other(api, agent):
    now = timezone.now()
    tickets = [TicketFactory(created_at=now - timedelta(minutes=age)) for age in range(45)]

    first, second, third = (api(agent).get(f"/api/tickets/?status=open&page={page}") for page in (1, 2, 3))

    assert [*ids(first), *ids(second), *ids(third)] == [ticket.pk for ticket in tickets]
    assert [len(ids(page)) for page in (first, second, third)] == [20, 20, 5]
    assert first.json()["previous"] is None
    assert first.json()["next"] == "http://testserver/api/tickets/?page=2&status=open"
    assert second.json()["previous"] == "http://testserver/api/tickets/?status=open"
    assert third.json()["next"] is None


@pytest.mark.parametrize("page", ["0", "-1", "2", "x", "", "1.0", "9" * 30])
def test_a_page_that_does_not_exist_is_404(api, agent, ticket, page):
    response = api(agent).get(f"/api/tickets/?page={page}")

    assert response.status_code == 404


def test_an_empty_list_has_one_empty_page(api, agent):
    response = api(agent).get("/api/tickets/?page=1")

    assert response.json() == {"count": 0, "next": None, "previous": None, "count_is_exact": True, "results": []}


def test_filters_narrow_a_list(api, agent):
    wanted = TicketFactory(status=Status.CLOSED, priority=Priority.URGENT, assigned_to=agent)
    TicketFactory(status=Status.CLOSED, priority=Priority.URGENT)
    TicketFactory(status=Status.CLOSED, assigned_to=agent)
    TicketFactory(priority=Priority.URGENT, assigned_to=agent)

    response = api(agent).get(f"/api/tickets/?status=closed&priority=urgent&assigned_to={agent.pk}")

    assert ids(response) == [wanted.pk]


@pytest.mark.parametrize(
    "query",
    [
        "status=lost",
        "priority=3",
        "priority=HIGH",
        "assigned_to=me",
        "assigned_to=0",
        "ordering=title",
        "search=" + "x" * 201,
    ],
)
def test_a_bad_filter_value_is_400_and_says_which(api, agent, query):
    response = api(agent).get(f"/api/tickets/?{query}")

    assert response.status_code == 400
    assert response.json()["errors"][0]["pointer"] == f"#/{query.split('=')[0]}"


@pytest.mark.parametrize(
    ("ordering", "expected"),
    [
        ("created_at", "abcd"),
        ("-created_at", "dcba"),
        ("updated_at", "dcba"),
        ("-updated_at", "abcd"),
        ("priority", "bcda"),
        ("-priority", "adcb"),
    ],
)
def test_lists_are_ordered_by_time_or_urgency(api, agent, ordering, expected):
    now = timezone.now()
    for age, (title, priority) in enumerate(
        [("a", Priority.URGENT), ("b", Priority.LOW), ("c", Priority.MEDIUM), ("d", Priority.HIGH)],
    ):
        TicketFactory(
            title=title,
            priority=priority,
            created_at=now + timedelta(minutes=age),
            updated_at=now - timedelta(minutes=age),
        )

    response = api(agent).get(f"/api/tickets/?ordering={ordering}")

    assert "".join(item["title"] for item in response.json()["results"]) == expected


def test_deleting_answers_204_and_the_ticket_is_gone(api, agent, ticket):
    CommentFactory(ticket=ticket)

    response = api(agent).delete(f"/api/tickets/{ticket.pk}/")

    assert response.status_code == 204
    assert response.content == b""
    assert not Ticket.objects.exists()
    assert api(agent).get(f"/api/tickets/{ticket.pk}/").status_code == 404
