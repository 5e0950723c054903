"""An answer agrees with itself, whatever is written between the statements that it is read by."""

from contextlib import contextmanager

import pytest
from django.db import connection

from helpdesk.tickets import actions
from helpdesk.tickets.models import Comment, Ticket
from helpdesk.tickets.serializers import COMMENTS_SHOWN
from helpdesk.tickets.tests.factories import CommentFactory, TicketFactory, by

pytestmark = pytest.mark.django_db

PAGE_SIZE = 20


@contextmanager
def written_after(is_meant, write):
    """Call `write` between the first statement that is meant and the next one."""
    pending = [write]

    def execute_and_write(execute, sql, params, many, context):
        result = execute(sql, params, many, context)
        if pending and is_meant(sql):
            pending.pop()()
        return result

    with connection.execute_wrapper(execute_and_write):
        yield
    assert not pending


def reads_the_ticket(sql):
    return 'FROM "tickets_ticket"' in sql and "FOR NO KEY UPDATE" not in sql


def counts(sql):
    return "COUNT(*)" in sql or 'SUM("tickets_ticketcount"."delta")' in sql


def comment(author, ticket, *, times=1):
    for _ in range(times):
        actions.add_comment(by(author), ticket.pk, content="Hello")


def has_comments(ticket, author, *, count):
    """Give the ticket so many comments, as rows only."""
    comments = Comment.objects.bulk_create(
        Comment(ticket=ticket, author=author, content=f"{number}") for number in range(count)
    )
    Ticket.objects.filter(pk=ticket.pk).update(comments_count=count, last_comment_at=comments[-1].created_at)
    return comments


@pytest.mark.parametrize(("method", "body"), [("get", None), ("patch", {"status": "closed"}), ("put", {"title": "T"})])
@pytest.mark.parametrize("added", [1, 3])
def test_a_ticket_shows_the_comments_that_it_counts(api, agent, ticket, method, body, added):
    comment(agent, ticket, times=2)

    with written_after(reads_the_ticket, lambda: comment(agent, ticket, times=added)):
        shown = getattr(api(agent), method)(f"/api/tickets/{ticket.pk}/", body).json()

    assert len(shown["comments"]) == shown["comments_count"] == 2
    assert shown["last_comment_at"] == shown["comments"][-1]["created_at"]
    assert shown["older_comments"] is None


def test_a_ticket_with_more_comments_than_it_shows_ends_with_the_last_that_it_counts(api, agent, ticket):
    comments = has_comments(ticket, agent, count=COMMENTS_SHOWN + 1)

    with written_after(reads_the_ticket, lambda: comment(agent, ticket)):
        shown = api(agent).get(f"/api/tickets/{ticket.pk}/").json()

    assert shown["comments_count"] == COMMENTS_SHOWN + 1
    assert shown["comments"][-1]["id"] == comments[-1].pk
    assert shown["older_comments"].endswith(f"/api/comments/?ticket={ticket.pk}")


def test_a_ticket_that_is_deleted_while_it_is_read_is_404(api, agent, ticket):
    comment(agent, ticket)

    with written_after(reads_the_ticket, ticket.delete):
        response = api(agent).get(f"/api/tickets/{ticket.pk}/")

    assert response.status_code == 404


@pytest.mark.parametrize(
    ("before", "after", "page", "count", "shown"),
    [
        (0, 1, 1, 1, 1),
        (1, 0, 1, 0, 0),
        (5, 7, 1, 7, 7),
        (7, 5, 1, 5, 5),
        (PAGE_SIZE, PAGE_SIZE - 1, 1, PAGE_SIZE - 1, PAGE_SIZE - 1),
        (PAGE_SIZE - 1, PAGE_SIZE, 1, PAGE_SIZE, PAGE_SIZE),
        (2 * PAGE_SIZE, PAGE_SIZE + 3, 2, PAGE_SIZE + 3, 3),
    ],
)
@pytest.mark.parametrize("resource", ["tickets", "comments", "events"])
def test_a_list_counts_the_rows_that_it_shows(api, agent, ticket, resource, before, after, page, count, shown):
    path, make = {
        "tickets": ("/api/tickets/?status=closed&", lambda: TicketFactory(status="closed")),
        "comments": ("/api/comments/?", lambda: CommentFactory(ticket=ticket, author=agent)),
        "events": (f"/api/tickets/{ticket.pk}/events/?", lambda: change(agent, ticket)),
    }[resource]
    rows = [make() for _ in range(before)]

    def write():
        for _ in range(after - before):
            make()
        for row in rows[after:]:
            type(row).objects.filter(pk=row.pk).delete()

    with written_after(counts, write):
        body = api(agent).get(f"{path}page={page}").json()

    assert (body["count"], len(body["results"])) == (count, shown)
    assert body["next"] is None
    assert (body["previous"] is None) == (page == 1)


def change(agent, ticket):
    """Return the event of a change."""
    ticket.refresh_from_db()
    title = {"title": f"{ticket.title}."}
    actions.update_ticket(by(agent), ticket.pk, changes=title)
    return ticket.events.latest("id")


def test_a_page_whose_rows_are_deleted_while_it_is_read_is_404(api, agent):
    for _ in range(2 * PAGE_SIZE):
        TicketFactory()

    with written_after(counts, Ticket.objects.all().delete):
        response = api(agent).get("/api/tickets/?page=2")

    assert response.status_code == 404


def test_a_full_page_of_several_keeps_the_count_of_all(api, agent):
    for _ in range(2 * PAGE_SIZE):
        TicketFactory()

    body = api(agent).get("/api/tickets/").json()

    assert (body["count"], len(body["results"])) == (2 * PAGE_SIZE, PAGE_SIZE)
    assert body["next"] == "http://testserver/api/tickets/?page=2"


@pytest.mark.parametrize("method", ["get", "patch"])
def test_a_detail_has_the_newest_comments_and_links_to_the_others(api, agent, ticket, method):
    comments = has_comments(ticket, agent, count=COMMENTS_SHOWN + 2)
    client = api(agent)

    shown = getattr(client, method)(f"/api/tickets/{ticket.pk}/").json()
    first_page = client.get(shown["older_comments"]).json()

    assert [item["id"] for item in shown["comments"]] == [item.pk for item in comments[2:]]
    assert shown["comments_count"] == first_page["count"] == COMMENTS_SHOWN + 2
    assert shown["older_comments"] == f"http://testserver/api/comments/?ticket={ticket.pk}"
    assert first_page["results"][0]["id"] == comments[0].pk


def test_a_detail_that_has_all_comments_links_to_no_others(api, agent, ticket):
    has_comments(ticket, agent, count=COMMENTS_SHOWN)

    shown = api(agent).get(f"/api/tickets/{ticket.pk}/").json()

    assert len(shown["comments"]) == COMMENTS_SHOWN
    assert shown["older_comments"] is None
