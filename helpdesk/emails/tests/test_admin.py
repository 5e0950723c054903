"""Agents see each e-mail, its outcome and its attempts in the admin, and can send it again."""

import re
from html import unescape

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.urls import reverse

from helpdesk.emails import messages
from helpdesk.emails.actions import claim, retry_later
from helpdesk.emails.models import Email, EmailState
from helpdesk.emails.tasks import send_emails
from helpdesk.emails.tests.factories import EmailFactory
from helpdesk.emails.tests.outbox import outcome, start
from helpdesk.tickets.models import Ticket

pytestmark = pytest.mark.django_db

OUTBOX = reverse("admin:emails_email_changelist")


def page_of(email):
    return reverse("admin:emails_email_change", args=[email.pk])


def resend_url(email):
    return reverse("admin:emails_email_resend", args=[email.pk])


def listed(agent_client, **query):
    return [email.pk for email in agent_client.get(OUTBOX, query).context["cl"].result_list]


def resend(agent_client, *emails):
    body = {"action": "resend_selected", "_selected_action": [email.pk for email in emails]}
    return agent_client.post(OUTBOX, body, follow=True)


def test_the_outbox_shows_each_email_newest_first_with_its_error(agent_client):
    first, second = EmailFactory(), EmailFactory(state=EmailState.BOUNCED, error="550 No such user")

    html = agent_client.get(OUTBOX).content.decode()

    assert listed(agent_client) == [second.pk, first.pk]
    for text in (first.address, first.subject, "Pending", "Bounced", "550 No such user"):
        assert text in html


def test_it_is_filtered_by_state_and_kind_and_searched(agent_client):
    sent, dead = EmailFactory(state=EmailState.SENT, sent_at=Now()), EmailFactory(state=EmailState.DEAD)

    assert listed(agent_client, state__exact="dead") == [dead.pk]
    assert listed(agent_client, kind__exact="comment_added") == []
    assert listed(agent_client, q=sent.address) == [sent.pk]
    assert listed(agent_client, q=f"#{sent.event.ticket_id}") == [sent.pk]
    assert listed(agent_client, q="#" + "9" * 30) == []


@pytest.mark.parametrize(
    "term", ["anna@example.com", "anna@", "ANNA@Example", "a_na", "nna", "%", "Printer"], ids=lambda term: term
)
def test_it_is_searched_by_the_beginning_of_the_address(agent_client, term):
    email = EmailFactory(address="Anna@example.com", subject="Printer")
    EmailFactory(address="bob.anna@example.com", subject="Printer")

    found = listed(agent_client, q=term)

    assert found == ([email.pk] if email.address.lower().startswith(term.lower()) else [])


MANY = """
    INSERT INTO emails_email (uuid, kind, address, language, subject, state, error, attempts)
    SELECT gen_random_uuid(), 'password_reset', 'user' || number || '@example.com', 'en', 'S', 'pending', '', 0
    FROM generate_series(1, 20000) AS number
"""


def test_a_search_among_many_reads_an_index(agent_client):
    with connection.cursor() as cursor:
        cursor.execute(MANY)
        cursor.execute("ANALYZE emails_email")

    plan = Email.objects.to_address("User123@example").order_by("-id")[:100].explain()

    assert "emails_email_address" in plan
    assert "Seq Scan" not in plan
    assert len(listed(agent_client, q="User123@example")) == 1


def test_a_page_shows_the_attempts_and_the_rendered_email_in_a_sandbox(agent_client):
    email = EmailFactory()
    retry_later(start(email), error="451 Try later")

    html = agent_client.get(page_of(email)).content.decode()

    assert "451 Try later" in html
    assert "<iframe sandbox srcdoc=" in html
    assert "changed the status of your ticket" in html


def test_the_preview_has_no_link_that_acts_for_the_recipient(agent_client):
    assert "unsubscribe" not in agent_client.get(page_of(EmailFactory())).content.decode()


def test_an_email_that_cannot_be_rendered_is_shown_with_its_reason(agent_client, monkeypatch):
    def fail(name, context):
        raise ValueError("no such thing")

    email = EmailFactory()
    monkeypatch.setattr(messages, "render_to_string", fail)

    assert "ValueError: no such thing" in agent_client.get(page_of(email)).content.decode()


def test_an_email_about_a_deleted_ticket_is_shown(agent_client):
    email = EmailFactory()
    Ticket.objects.all().delete()

    assert "The ticket was deleted." in agent_client.get(page_of(email)).content.decode()


@pytest.mark.parametrize("state", ["bounced", "dead", "cancelled", "sent"])
def test_an_email_that_has_ended_is_sent_again_as_another_message(agent_client, smtp, state):
    email = EmailFactory(state=state, attempts=24, error="E", sent_at=Now() if state == "sent" else None)
    other = EmailFactory(state=EmailState.DEAD)

    response = resend(agent_client, email)
    send_emails([email.pk])

    assert "1 e-mail will be sent." in response.content.decode()
    again = Email.objects.get(pk=email.pk)
    assert (again.state, again.attempts, again.error) == ("sent", 1, "")
    assert again.uuid != email.uuid
    assert Email.objects.get(pk=other.pk).state == EmailState.DEAD


def test_a_waiting_email_becomes_due_and_stays_the_same_message(agent_client):
    email = EmailFactory()
    retry_later(start(email), error="451 Try later")
    assert claim([email.pk]) == []

    resend(agent_client, email)

    assert claim([email.pk])[0].uuid == email.uuid


def test_a_leased_email_is_not_sent_twice(agent_client):
    email = EmailFactory()
    start(email)

    resend(agent_client, email)

    assert claim([email.pk]) == []


@pytest.fixture
def ended():
    """A dead e-mail."""
    return EmailFactory(state=EmailState.DEAD, attempts=24, error="E")


def is_pending(email):
    return Email.objects.get(pk=email.pk).state == EmailState.PENDING


def test_the_button_on_an_emails_page_sends_it_again_and_leads_back_to_the_page(
    django_client_with_csrf, agent, smtp, ended
):
    browser = django_client_with_csrf
    browser.force_login(agent)
    from_the_list = f"{page_of(ended)}?_changelist_filters=state__exact%3Ddead"
    page = browser.get(from_the_list).text
    button = re.search(r'<input type="submit" value="Send again" [^>]*formaction="([^"]+)"', page)[1]
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[1]

    response = browser.post(unescape(button), {"csrfmiddlewaretoken": token}, follow=True)
    send_emails([ended.pk])

    assert response.redirect_chain == [(from_the_list, 302)]
    assert "1 e-mail will be sent." in response.text
    assert outcome(ended) == ("sent", 1, "")


def test_the_button_needs_the_token_of_its_page(django_client_with_csrf, agent, ended):
    django_client_with_csrf.force_login(agent)

    assert django_client_with_csrf.post(resend_url(ended)).status_code == 403
    assert not is_pending(ended)


def test_following_a_link_sends_nothing_again(agent_client, ended):
    assert agent_client.get(resend_url(ended)).status_code == 405
    assert not is_pending(ended)


@pytest.mark.parametrize("method", ["get", "post"])
def test_only_agents_send_again(client, customer, ended, method):
    statuses = [getattr(client, method)(resend_url(ended)).status_code]
    client.force_login(customer)
    statuses.append(getattr(client, method)(resend_url(ended)).status_code)

    assert statuses == [302, 302]
    assert not is_pending(ended)


@pytest.mark.parametrize("number", [0, 2**63, 10**30])
def test_an_email_that_does_not_exist_is_not_sent_again(agent_client, ended, number):
    assert agent_client.post(reverse("admin:emails_email_resend", args=[number])).status_code == 404
    assert not is_pending(ended)


def test_nobody_adds_changes_or_deletes_an_email(agent_client):
    email = EmailFactory()

    statuses = [
        agent_client.get(reverse("admin:emails_email_add")).status_code,
        agent_client.post(page_of(email), {"state": "sent"}).status_code,
        agent_client.post(reverse("admin:emails_email_delete", args=[email.pk]), {"post": "yes"}).status_code,
    ]

    assert statuses == [403, 403, 403]
    assert Email.objects.get().state == EmailState.PENDING


@pytest.mark.parametrize("path", [OUTBOX, f"{OUTBOX}1/change/"])
def test_a_customer_is_kept_out(client, customer, path):
    client.force_login(customer)

    assert client.get(path).status_code == 302
