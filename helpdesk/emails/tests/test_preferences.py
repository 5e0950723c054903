"""Everybody decides which kinds of e-mail they get, in the API or by the link in each of them."""

import pytest
from django.core.signing import Signer

from helpdesk.emails.links import unsubscribe_url
from helpdesk.emails.models import Unsubscription

pytestmark = pytest.mark.django_db

PREFERENCES = "/api/email-preferences/"
EVERYTHING = {"ticket_created": True, "status_changed": True, "comment_added": True}


@pytest.fixture
def link(customer, settings):
    """The address that an e-mail about a comment carries."""
    settings.SITE_URL = "http://testserver"
    return unsubscribe_url(customer, "comment_added").removeprefix("http://testserver")


def test_everybody_gets_everything_until_they_say_otherwise(api, customer, stranger):
    Unsubscription.objects.create(user=stranger, kind="comment_added")

    response = api(customer).get(PREFERENCES)

    assert (response.status_code, response.json()) == (200, EVERYTHING)


def test_what_is_left_out_stays_as_it_is(api, customer):
    client = api(customer)

    client.patch(PREFERENCES, {"comment_added": False})
    response = client.patch(PREFERENCES, {"status_changed": False, "ticket_created": True})

    assert response.json() == {"ticket_created": True, "status_changed": False, "comment_added": False}
    assert client.get(PREFERENCES).json() == response.json()
    assert client.patch(PREFERENCES, EVERYTHING).json() == EVERYTHING
    assert not Unsubscription.objects.exists()


@pytest.mark.parametrize("body", [{"comment_added": "no"}, {"comment_added": 0}, {"comment_added": None}, []])
def test_a_bad_preference_is_400_and_changes_nothing(api, customer, body):
    assert api(customer).patch(PREFERENCES, body).status_code == 400
    assert not Unsubscription.objects.exists()


@pytest.mark.parametrize("method", ["get", "patch"])
def test_without_a_token_there_are_no_preferences(api, method):
    assert getattr(api(), method)(PREFERENCES).status_code == 401


def test_the_link_asks_and_changes_nothing_by_itself(client, customer, link):
    response = client.get(link)

    assert response.status_code == 200
    assert '<form method="post">' in response.text
    assert "New comment" in response.text
    assert not Unsubscription.objects.exists()


def test_one_click_unsubscribes_without_a_login_or_cookie(django_client_with_csrf, api, customer, link):
    response = django_client_with_csrf.post(link, "List-Unsubscribe=One-Click", "application/x-www-form-urlencoded")

    assert response.status_code == 200
    assert api(customer).get(PREFERENCES).json() == EVERYTHING | {"comment_added": False}


def test_unsubscribing_twice_is_as_good_as_once(client, customer, link):
    client.post(link)

    assert client.post(link).status_code == 200
    assert Unsubscription.objects.count() == 1


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
    assert not Unsubscription.objects.exists()


def test_the_link_of_somebody_who_is_gone_leads_nowhere(client, customer, link):
    customer.delete()

    assert client.post(link).status_code == 404
