"""The lists of the admin: quick over large tables, honest about what they counted."""

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from helpdesk.core import admin as core_admin
from helpdesk.testing import count_queries, get_messages, raising
from helpdesk.tickets import actions
from helpdesk.tickets.admin import TicketAdmin
from helpdesk.tickets.models import EventKind, Priority, Status, TicketEvent
from helpdesk.tickets.tests.factories import CommentFactory, TicketFactory, by
from helpdesk.users.tests.factories import UserFactory

pytestmark = pytest.mark.django_db

TICKETS = reverse("admin:tickets_ticket_changelist")
COMMENTS = reverse("admin:tickets_comment_changelist")
EVENTS = reverse("admin:tickets_ticketevent_changelist")


def listed(response):
    return list(response.context["cl"].result_list)


def test_the_list_shows_status_priority_assignee_and_age(agent_client, agent):
    TicketFactory(title="No sound", status=Status.IN_PROGRESS, priority=Priority.HIGH, assigned_to=agent)

    html = agent_client.get(TICKETS).content.decode()

    assert 'class="field-status">In Progress<' in html
    assert 'class="field-priority">High<' in html
    assert 'class="field-assigned_to nowrap">agatha<' in html
    assert 'class="field-age">0\xa0minutes<' in html


def test_no_list_counts_a_whole_table(agent_client):
    TicketFactory()

    with CaptureQueriesContext(connection) as queries:
        for url in (TICKETS, COMMENTS, EVENTS):
            agent_client.get(url)

    counts = [query["sql"] for query in queries if "COUNT(" in query["sql"]]
    assert len(counts) == 3
    assert all("LIMIT" in sql for sql in counts)


@pytest.fixture
def small_steps(monkeypatch):
    """Two tickets a page, and three counted ahead."""
    monkeypatch.setattr(TicketAdmin, "list_per_page", 2)
    monkeypatch.setattr(TicketAdmin, "list_max_show_all", 2)
    monkeypatch.setattr(core_admin, "ROWS_COUNTED_AHEAD", 3)


def test_every_ticket_is_on_exactly_one_page_however_far_was_counted(agent_client, small_steps):
    tickets = TicketFactory.create_batch(9)

    pages = [listed(agent_client.get(TICKETS, {"p": number})) for number in range(1, 6)]

    assert [ticket for page in pages for ticket in page] == tickets[::-1]


def test_a_list_says_more_than_until_it_knows(agent_client, small_steps):
    TicketFactory.create_batch(9)

    assert "more than 3 results" in agent_client.get(TICKETS).content.decode()
    assert "\n9 results" in agent_client.get(TICKETS, {"p": 4}).content.decode()
    assert agent_client.get(TICKETS, {"q": "printer"}).content.decode().count("more than 3 results") == 2


@pytest.mark.parametrize("number", ["4", "0", "-1", "99999999999999999999"])
def test_a_page_that_does_not_exist_leads_back_to_the_list(agent_client, number, small_steps):
    TicketFactory.create_batch(5)

    response = agent_client.get(TICKETS, {"p": number}, follow=True)

    assert response.redirect_chain[0][0] == f"{TICKETS}?e=1"
    assert response.status_code == 200


@pytest.mark.parametrize(
    "order, expected",
    [
        ("", ["new", "old"]),
        ("3", ["new", "old"]),
        ("-3", ["old", "new"]),
        ("6", ["new", "old"]),
        ("-6", ["old", "new"]),
    ],
)
def test_tickets_are_ordered_by_age_or_urgency(agent_client, order, expected):
    TicketFactory(title="old", priority=Priority.URGENT)
    TicketFactory(title="new", priority=Priority.LOW)

    response = agent_client.get(TICKETS, {"o": order})

    assert [ticket.title for ticket in listed(response)] == expected


@pytest.mark.parametrize("term", ["ÁCCOUNT", "prin account", "#{pk}"])
def test_the_search_is_the_search_of_the_api(agent_client, term):
    found = TicketFactory(title="Printers", description="My account")
    TicketFactory(title="Printers")

    response = agent_client.get(TICKETS, {"q": term.format(pk=found.pk)})

    assert listed(response) == [found]


@pytest.mark.parametrize("url", [TICKETS, COMMENTS, EVENTS])
def test_a_search_beyond_the_limit_finds_nothing_and_says_why(agent_client, url):
    term = "x" * 201
    TicketFactory(title=term[:200])

    response = agent_client.get(url, {"q": term})

    assert listed(response) == []
    assert "at most" in get_messages(response)[0]


def test_tickets_are_filtered_by_their_assignee(agent_client, agent):
    mine, nobodys, colleagues = TicketFactory(assigned_to=agent), TicketFactory(), TicketFactory(assigned=True)

    assert listed(agent_client.get(TICKETS, {"assigned_to": "me"})) == [mine]
    assert listed(agent_client.get(TICKETS, {"assigned_to": "nobody"})) == [nobodys]
    assert listed(agent_client.get(TICKETS, {"assigned_to": colleagues.assigned_to_id})) == [colleagues]
    assert listed(agent_client.get(TICKETS, {"assigned_to": "9" * 30})) == []


def test_comments_are_found_by_their_ticket(agent_client, ticket):
    comment = CommentFactory(ticket=ticket)
    CommentFactory()

    assert listed(agent_client.get(COMMENTS, {"q": f"#{ticket.pk}"})) == [comment]


def test_the_history_shows_deleted_tickets(agent_client, ticket, agent):
    actions.delete_ticket(by(agent), ticket.pk)

    response = agent_client.get(EVENTS, {"q": f"#{ticket.pk}"})

    assert [event.kind for event in listed(response)] == [EventKind.TICKET_DELETED]
    assert f"#{ticket.pk} (deleted)" in response.content.decode()
    assert (
        agent_client.get(reverse("admin:tickets_ticketevent_change", args=[listed(response)[0].pk])).status_code == 200
    )


def test_the_history_button_leads_to_the_ledger(agent_client, ticket):
    response = agent_client.get(reverse("admin:tickets_ticket_history", args=[ticket.pk]))

    assert response.url == f"{EVENTS}?q=%23{ticket.pk}"


@pytest.mark.parametrize("query", [{"status__exact": "\0"}, {"kind__exact": "a\0"}])
def test_a_filter_that_the_database_cannot_read_is_refused(agent_client, query):
    for url in (TICKETS, EVENTS):
        assert agent_client.get(url, query).status_code == 400


# Actions on the list


@pytest.mark.parametrize(
    "action, kind, new",
    [
        ("assign_to_me", "assignee_changed", "agatha"),
        ("resolve", "status_changed", "resolved"),
        ("close", "status_changed", "closed"),
    ],
)
def test_ticked_tickets_are_changed_and_recorded(agent_client, action, kind, new):
    ticked, _other = TicketFactory.create_batch(2), TicketFactory()
    chosen = {"action": action, "_selected_action": [ticket.pk for ticket in ticked], "select_across": "1"}

    response = agent_client.post(TICKETS, chosen, follow=True)

    assert get_messages(response) == ["2 tickets were changed."]
    assert set(TicketEvent.objects.values_list("ticket", "kind", "source")) == {(t.pk, kind, "admin") for t in ticked}
    assert all(new in str(event.new) for event in TicketEvent.objects.all())


def test_an_action_says_what_was_refused_and_goes_on(agent_client, monkeypatch):
    tickets = TicketFactory.create_batch(2)
    monkeypatch.setattr(actions, "check_assignee", raising(ValidationError("Not now.")))
    chosen = {"action": "assign_to_me", "_selected_action": [ticket.pk for ticket in tickets]}

    response = agent_client.post(TICKETS, chosen, follow=True)

    assert get_messages(response) == ["Not now."]
    assert not TicketEvent.objects.exists()


@pytest.mark.parametrize("key, status", [("abc", 400), ("\0", 400), ("9" * 30, 302)])
@pytest.mark.parametrize("action", ["resolve", "delete_selected"])
def test_an_action_on_what_is_no_ticket_changes_nothing(agent_client, ticket, action, key, status):
    response = agent_client.post(TICKETS, {"action": action, "_selected_action": [key], "post": "yes"})

    assert response.status_code == status
    assert not TicketEvent.objects.exists()


# Queries


@pytest.mark.parametrize("url", [TICKETS, COMMENTS, EVENTS, f"{TICKETS}?q=printer", f"{EVENTS}?q=printer"])
def test_a_list_takes_as_many_queries_for_many_rows_as_for_one(agent_client, agent, url):
    add_rows(agent, 1)
    few = count_queries(agent_client, url)

    add_rows(agent, 20)

    assert count_queries(agent_client, url) == few <= 7


def add_rows(agent, number):
    for _ in range(number):
        ticket = TicketFactory(assigned=True)
        actions.add_comment(by(UserFactory(agent=True)), ticket.pk, content="Hello")
