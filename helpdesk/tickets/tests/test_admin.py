"""Agents at work in the admin."""

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from helpdesk.testing import count_queries, get_messages, raising
from helpdesk.tickets import actions
from helpdesk.tickets.models import Comment, EventKind, EventSource, Priority, Status, Ticket, TicketEvent
from helpdesk.tickets.tests.factories import CommentFactory, TicketFactory, by
from helpdesk.users.tests.factories import UserFactory

pytestmark = pytest.mark.django_db

TICKETS = reverse("admin:tickets_ticket_changelist")
COMMENTS = reverse("admin:tickets_comment_changelist")
EVENTS = reverse("admin:tickets_ticketevent_changelist")


def page_of(ticket):
    return reverse("admin:tickets_ticket_change", args=[ticket.pk])


def form_in(agent_client, ticket):
    """Return what a browser would post back from a ticket's page when nothing was typed."""
    context = agent_client.get(page_of(ticket)).context
    posted = {}
    for field in context["adminform"].form:
        posted[field.html_name] = posted[field.html_initial_name] = "" if field.value() is None else field.value()
    for inline in context["inline_admin_formsets"]:
        posted |= {field.html_name: field.value() for field in inline.formset.management_form}
    return posted


def only_event():
    return TicketEvent.objects.values("kind", "actor__username", "source", "old", "new").get()


# Who may do what


def test_an_agent_finds_only_tickets_comments_history_and_emails_in_the_index(agent_client):
    apps = agent_client.get(reverse("admin:index")).context["available_apps"]

    assert {model["object_name"] for app in apps for model in app["models"]} == {
        "Ticket",
        "Comment",
        "TicketEvent",
        "Email",
    }


@pytest.mark.parametrize("url", [TICKETS, COMMENTS, EVENTS, reverse("admin:tickets_ticket_add")])
def test_a_customer_is_kept_out(client, customer, url):
    client.force_login(customer)

    response = client.get(url)

    assert response.status_code == 302
    assert response.url.startswith(reverse("admin:login"))


@pytest.mark.parametrize("model", ["comment", "ticketevent"])
@pytest.mark.parametrize("who", ["agent", "superuser"])
def test_nobody_adds_changes_or_deletes_comments_and_events(client, ticket, agent, who, model, request):
    actions.add_comment(by(agent), ticket.pk, content="As it was")
    row = {"comment": Comment, "ticketevent": TicketEvent}[model].objects.get()
    change, delete = (reverse(f"admin:tickets_{model}_{verb}", args=[row.pk]) for verb in ("change", "delete"))
    client.force_login(request.getfixturevalue(who))

    assert client.get(change).status_code == 200
    assert client.post(change, {"content": "Mine", "kind": EventKind.TICKET_DELETED}).status_code == 403
    assert client.post(delete, {"post": "yes"}).status_code == 403
    assert client.get(reverse(f"admin:tickets_{model}_add")).status_code == 403
    assert not client.get(reverse(f"admin:tickets_{model}_changelist")).context["cl"].formset
    assert Comment.objects.get().content == "As it was"
    assert only_event()["kind"] == EventKind.COMMENT_ADDED


# The page of a ticket


def test_a_change_is_recorded_with_its_source(agent_client, ticket):
    response = agent_client.post(page_of(ticket), form_in(agent_client, ticket) | {"status": "resolved"})

    assert response.url == TICKETS
    assert only_event() == {
        "kind": "status_changed",
        "actor__username": "agatha",
        "source": "admin",
        "old": "open",
        "new": "resolved",
    }


def test_a_change_takes_the_lock(agent_client, ticket):
    form = form_in(agent_client, ticket)

    with CaptureQueriesContext(connection) as queries:
        agent_client.post(page_of(ticket), form | {"priority": 4})

    assert any("FOR NO KEY UPDATE" in query["sql"] for query in queries)


def test_a_deadlock_is_a_503_that_changes_nothing(agent_client, ticket, monkeypatch):
    def add_comment(*args, **kwargs):
        with connection.cursor() as cursor:
            cursor.execute("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'deadlock_detected'; END $$")

    form = form_in(agent_client, ticket)
    monkeypatch.setattr(actions, "add_comment", add_comment)
    agent_client.raise_request_exception = False

    response = agent_client.post(page_of(ticket), form | {"title": "New title", "comments-0-content": "Hello"})

    assert (response.status_code, response.headers["Retry-After"]) == (503, "2")
    assert Ticket.objects.get().title == ticket.title


def test_a_change_invalidates_the_cached_lists(
    agent_client, api, customer, ticket, django_capture_on_commit_callbacks
):
    api(customer).get("/api/tickets/")

    with django_capture_on_commit_callbacks(execute=True):
        agent_client.post(page_of(ticket), form_in(agent_client, ticket) | {"title": "New title"})

    assert api(customer).get("/api/tickets/").json()["results"][0]["title"] == "New title"


def test_everything_an_agent_may_change_can_be_changed_at_once(agent_client, ticket):
    colleague = UserFactory(agent=True)
    changes = {"title": "T", "description": "a\r\nb", "status": "closed", "priority": 1, "assigned_to": colleague.pk}

    agent_client.post(page_of(ticket), form_in(agent_client, ticket) | changes)

    ticket.refresh_from_db()
    assert (ticket.title, ticket.description, ticket.status, ticket.priority) == ("T", "a\nb", "closed", 1)
    assert ticket.assigned_to == colleague
    assert TicketEvent.objects.filter(source=EventSource.ADMIN).count() == 5


def test_what_a_colleague_changed_meanwhile_stays(agent_client, ticket, superuser):
    form = form_in(agent_client, ticket)
    meanwhile = {"status": Status.RESOLVED, "assigned_to": superuser, "description": "Solved"}
    actions.update_ticket(by(superuser), ticket.pk, changes=meanwhile)

    agent_client.post(page_of(ticket), form | {"priority": 4})

    ticket.refresh_from_db()
    assert (ticket.status, ticket.assigned_to, ticket.description) == (Status.RESOLVED, superuser, "Solved")
    assert ticket.priority == Priority.URGENT


def test_saving_an_unchanged_page_records_nothing(agent_client):
    ticket = TicketFactory(description="Two\nlines", assigned=True)

    response = agent_client.post(page_of(ticket), form_in(agent_client, ticket) | {"description": "Two\r\nlines"})

    assert response.status_code == 302
    assert not TicketEvent.objects.exists()


def test_a_description_of_full_length_can_come_back_with_carriage_returns(agent_client):
    ticket = TicketFactory(description="x\n" * 9_999 + "xx")
    crlf = {"description": "x\r\n" * 9_999 + "xx", "initial-description": "x\r\n" * 9_999 + "xx"}

    response = agent_client.post(page_of(ticket), form_in(agent_client, ticket) | crlf | {"status": "closed"})

    assert response.status_code == 302
    assert only_event()["kind"] == "status_changed"


def test_a_deactivated_assignee_stays_until_somebody_else_is_chosen(agent_client):
    ticket = TicketFactory(assigned_to=UserFactory(agent=True, is_active=False))

    response = agent_client.post(page_of(ticket), form_in(agent_client, ticket) | {"status": "closed"})

    assert response.status_code == 302
    assert only_event()["kind"] == "status_changed"


@pytest.mark.parametrize(
    "change",
    [
        {"title": ""},
        {"title": "Two\nlines"},
        {"title": "Bell \a"},
        {"title": "Turned \u202e"},
        {"title": "\u200b"},
        {"description": "\u2060\r\n"},
        {"title": "x" * 201},
        {"description": " "},
        {"status": "gone"},
        {"priority": "5"},
    ],
)
def test_a_refused_value_is_a_form_error_and_nothing_is_written(agent_client, ticket, change):
    response = agent_client.post(
        page_of(ticket), form_in(agent_client, ticket) | {"comments-0-content": "Lost?"} | change
    )

    assert response.status_code == 200
    assert response.context["adminform"].form.errors.keys() == change.keys()
    assert "Lost?" in response.content.decode()
    assert not TicketEvent.objects.exists()


def test_only_active_agents_can_be_chosen_as_assignees(agent_client, ticket, customer):
    for user in (customer, UserFactory(agent=True, is_active=False)):
        response = agent_client.post(page_of(ticket), form_in(agent_client, ticket) | {"assigned_to": user.pk})

        assert "assigned_to" in response.context["adminform"].form.errors

    assert not TicketEvent.objects.exists()


def test_what_an_action_refuses_at_the_last_moment_is_a_message(agent_client, ticket, agent, monkeypatch):
    form = form_in(agent_client, ticket) | {"assigned_to": agent.pk, "comments-0-content": "It is mine."}
    monkeypatch.setattr(actions, "check_assignee", raising(ValidationError({"assigned_to": "Not any more."})))

    response = agent_client.post(page_of(ticket), form, follow=True)

    assert get_messages(response) == ["Not any more."]
    assert not TicketEvent.objects.exists()
    assert not Comment.objects.exists()


def test_a_ticket_that_was_deleted_meanwhile_is_a_message(agent_client, ticket, monkeypatch):
    form = form_in(agent_client, ticket)
    monkeypatch.setattr(actions, "update_ticket", raising(Ticket.DoesNotExist))

    response = agent_client.post(page_of(ticket), form | {"status": "closed"}, follow=True)

    assert get_messages(response) == ["The ticket has been deleted."]


# Comments


def test_an_agent_comments_on_the_page_of_a_ticket(agent_client, ticket, agent):
    agent_client.post(page_of(ticket), form_in(agent_client, ticket) | {"comments-0-content": "Try\r\nthis"})

    assert Comment.objects.values("ticket", "author", "content").get() == {
        "ticket": ticket.pk,
        "author": agent.pk,
        "content": "Try\nthis",
    }
    ticket.refresh_from_db()
    assert ticket.comments_count == 1
    assert only_event() | {"source": "admin", "kind": "comment_added"} == only_event()


def test_nobody_edits_the_words_of_another(agent_client, ticket):
    comment = CommentFactory(ticket=ticket, content="As it was")
    forged = {"comments-INITIAL_FORMS": 1, "comments-0-id": comment.pk, "comments-0-content": "Forged"}

    agent_client.post(page_of(ticket), form_in(agent_client, ticket) | forged)

    assert Comment.objects.get().content == "As it was"


def test_a_long_conversation_makes_the_form_no_longer(agent_client, ticket):
    CommentFactory.create_batch(120, ticket=ticket)

    html = agent_client.get(page_of(ticket)).content.decode()

    assert html.count('name="comments-') == html.count('name="comments-0-') + 4
    assert html.count("turning it off") == 100
    assert f'href="{COMMENTS}?q=%23{ticket.pk}"' in html


def test_comments_and_history_are_shown_as_text(agent_client, ticket, agent):
    origin = by(agent)
    actions.add_comment(origin, ticket.pk, content="<script>alert(1)</script>")
    actions.update_ticket(origin, ticket.pk, changes={"priority": Priority.URGENT, "assigned_to": agent})

    html = agent_client.get(page_of(ticket)).content.decode()

    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "Medium → Urgent" in html
    assert "nobody → agatha" in html


# Opening and deleting


def test_an_agent_opens_a_ticket_of_their_own(agent_client, agent):
    new = {
        "title": "By phone",
        "description": "He called.",
        "priority": 3,
        "status": "closed",
        "assigned_to": agent.pk,
    }

    response = agent_client.post(reverse("admin:tickets_ticket_add"), new)

    ticket = Ticket.objects.get()
    assert response.url == TICKETS
    assert (ticket.title, ticket.priority, ticket.created_by) == ("By phone", Priority.HIGH, agent)
    assert (ticket.status, ticket.assigned_to) == (Status.OPEN, None)
    assert (only_event()["kind"], only_event()["source"]) == ("ticket_created", "admin")


def test_a_deleted_ticket_leaves_its_history(agent_client, ticket):
    CommentFactory.create_batch(2, ticket=ticket)
    Ticket.objects.update(comments_count=2)
    url = reverse("admin:tickets_ticket_delete", args=[ticket.pk])

    assert "Comments: 2" in agent_client.get(url).content.decode()
    agent_client.post(url, {"post": "yes"})

    assert not Ticket.objects.exists()
    assert (only_event()["kind"], only_event()["source"]) == ("ticket_deleted", "admin")


def test_many_tickets_are_deleted_one_by_one(agent_client):
    gone, stays = TicketFactory.create_batch(3), TicketFactory()
    chosen = {"action": "delete_selected", "_selected_action": [ticket.pk for ticket in gone]}

    agent_client.post(TICKETS, chosen | {"post": "yes"})

    assert Ticket.objects.get() == stays
    assert TicketEvent.objects.filter(kind=EventKind.TICKET_DELETED, source=EventSource.ADMIN).count() == 3


# Former agents


def test_who_is_no_longer_an_agent_loses_their_tickets(
    client, api, superuser, agent, django_capture_on_commit_callbacks
):
    ticket = TicketFactory(assigned_to=agent)
    client.force_login(superuser)
    api(superuser).get("/api/tickets/")
    form = {"username": "agatha", "email": agent.email, "role": "customer", "language": "en", "is_active": "on"}

    with django_capture_on_commit_callbacks(execute=True):
        client.post(reverse("admin:users_user_change", args=[agent.pk]), form)

    assert api(superuser).get("/api/tickets/").json()["results"][0]["assigned_to"] is None
    assert TicketEvent.objects.values("ticket", "kind", "actor", "source").get() == {
        "ticket": ticket.pk,
        "kind": "assignee_changed",
        "actor": superuser.pk,
        "source": "admin",
    }


# Queries


def test_the_page_of_a_ticket_takes_as_many_queries_for_many_rows_as_for_one(agent_client, agent, ticket):
    add_comments(ticket, 1)
    # The first page of a process asks for the content type as well.
    agent_client.get(page_of(ticket))
    few = count_queries(agent_client, page_of(ticket))

    add_comments(ticket, 20)

    assert count_queries(agent_client, page_of(ticket)) == few <= 7


def add_comments(ticket, number):
    for _ in range(number):
        actions.add_comment(by(UserFactory(agent=True)), ticket.pk, content="Hello")
