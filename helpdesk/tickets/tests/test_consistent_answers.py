"""An answer agrees with itself, whatever is written between the statements that it is read by."""

from contextlib import contextmanager

import pytest
from django.db import connection

from helpdesk.tickets import actions
from helpdesk.tickets.actions import Origin
from helpdesk.tickets.models import EventSource, Ticket
from helpdesk.tickets.tests.factories import CommentFactory, TicketFactory

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


def counts(sql):
    return "COUNT(*)" in sql


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
    actions.update_ticket(Origin(agent, EventSource.API), ticket.pk, changes=title)
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
