"""The link in each e-mail, by which its recipient gets no more of the kind."""

import pytest
from django.core.signing import Signer

from helpdesk.emails.links import unsubscribe_url
from helpdesk.tickets.models import Mute

pytestmark = pytest.mark.django_db


@pytest.fixture
def link(customer, settings):
    """The address that an e-mail about a comment carries."""
    settings.SITE_URL = "http://testserver"
    return unsubscribe_url(customer, "comment_added").removeprefix("http://testserver")


def muted():
    return list(Mute.objects.values_list("user__username", "kind", "medium"))


def test_the_link_asks_and_changes_nothing_by_itself(client, customer, link):
    response = client.get(link)

    assert response.status_code == 200
    assert '<form method="post">' in response.text
    assert "New comment" in response.text
    assert muted() == []


def test_one_click_unsubscribes_without_a_login_or_cookie(django_client_with_csrf, link):
    response = django_client_with_csrf.post(link, "List-Unsubscribe=One-Click", "application/x-www-form-urlencoded")

    assert response.status_code == 200
    assert muted() == [("alice", "comment_added", "email")]


def test_a_link_that_was_mailed_long_ago_still_unsubscribes(client, customer):
    token = Signer(salt="helpdesk.emails.unsubscription").sign_object([customer.pk, "ticket_created"])

    assert client.post(f"/emails/unsubscribe/{token}/").status_code == 200
    assert muted() == [("alice", "ticket_created", "email")]


def test_unsubscribing_twice_is_as_good_as_once(client, customer, link):
    client.post(link)

    assert client.post(link).status_code == 200
    assert muted() == [("alice", "comment_added", "email")]


def test_the_page_speaks_the_readers_language(client, customer, link):
    customer.language = "es"
    customer.save()

    assert "¿No quiere recibir más correos del tipo «Comentario nuevo»?" in client.get(link).text


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_link_that_we_did_not_sign_leads_nowhere(client, customer, link, method):
    others = Signer(salt="another").sign_object([customer.pk, "comment_added"])
    unknown_kind = Signer(salt="helpdesk.emails.unsubscription").sign_object([customer.pk, "password"])

    statuses = [
        getattr(client, method)(path).status_code
        for path in (
            link.replace(":", "x:"),
            f"/emails/unsubscribe/{others}/",
            f"/emails/unsubscribe/{unknown_kind}/",
            "/emails/unsubscribe/x/",
        )
    ]

    assert statuses == [404] * 4
    assert muted() == []


def test_the_link_of_somebody_who_is_gone_leads_nowhere(client, customer, link):
    customer.delete()

    assert client.post(link).status_code == 404
