"""The unsubscribe link in each e-mail of a ticket."""

import pytest
from django.core.signing import Signer

from helpdesk.emails.messages import get_unsubscribe_url
from helpdesk.subscriptions.models import NotificationPreference

pytestmark = pytest.mark.django_db


@pytest.fixture
def link(customer, settings):
    """The unsubscribe link of an e-mail about a comment."""
    settings.SITE_URL = "http://testserver"
    return get_unsubscribe_url(customer, "comment_added").removeprefix("http://testserver")


def disabled():
    return list(NotificationPreference.objects.disabled().values_list("user__username", "kind", "channel"))


def test_the_link_asks_and_changes_nothing(client, customer, link):
    response = client.get(link)

    assert response.status_code == 200
    assert '<form method="post">' in response.text
    assert "New comment" in response.text
    assert disabled() == []


def test_one_click_unsubscribes_without_a_login_or_cookie(django_client_with_csrf, link):
    response = django_client_with_csrf.post(link, "List-Unsubscribe=One-Click", "application/x-www-form-urlencoded")

    assert response.status_code == 200
    assert disabled() == [("alice", "comment_added", "email")]


def test_a_link_that_was_mailed_long_ago_still_unsubscribes(client, customer):
    token = Signer(salt="helpdesk.emails.unsubscription").sign_object([customer.pk, "ticket_created"])

    assert client.post(f"/emails/unsubscribe/{token}/").status_code == 200
    assert disabled() == [("alice", "ticket_created", "email")]


def test_unsubscribing_is_idempotent(client, customer, link):
    client.post(link)

    assert client.post(link).status_code == 200
    assert disabled() == [("alice", "comment_added", "email")]


def test_the_page_is_in_the_language_of_the_recipient(client, customer, link):
    customer.language = "es"
    customer.save()

    assert "¿Quiere dejar de recibir correos del tipo «Nuevo comentario»?" in client.get(link).text


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_forged_link_is_404(client, customer, link, method):
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
    assert disabled() == []


def test_the_link_of_a_deleted_user_is_404(client, customer, link):
    customer.delete()

    assert client.post(link).status_code == 404
