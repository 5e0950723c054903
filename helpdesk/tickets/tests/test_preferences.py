"""Everybody decides what they are told of, kind by kind and medium by medium."""

import pytest
from django.db import IntegrityError, transaction
from django.urls import reverse

from helpdesk.tickets.models import Mute

pytestmark = pytest.mark.django_db

PREFERENCES = "/api/preferences/"
BOTH = {"email": True, "live": True}
EVERYTHING = {"ticket_created": BOTH, "status_changed": BOTH, "comment_added": BOTH}


def refusals(response):
    assert response.status_code == 400
    return {error["pointer"]: error["code"] for error in response.json()["errors"]}


def test_everybody_is_told_everything_until_they_say_otherwise(api, customer, stranger):
    Mute.objects.create(user=stranger, kind="comment_added", medium="live")

    response = api(customer).get(PREFERENCES)

    assert (response.status_code, response.json()) == (200, EVERYTHING)


def test_what_is_left_out_stays_as_it_is(api, customer):
    client = api(customer)

    client.patch(PREFERENCES, {"comment_added": {"email": False}})
    response = client.patch(PREFERENCES, {"comment_added": {"live": False}, "status_changed": {"live": False}})

    assert response.json() == {
        "ticket_created": BOTH,
        "status_changed": {"email": True, "live": False},
        "comment_added": {"email": False, "live": False},
    }
    assert client.get(PREFERENCES).json() == response.json()


def test_what_was_not_wanted_can_be_wanted_again(api, customer):
    client = api(customer)
    client.patch(PREFERENCES, {"comment_added": {"email": False, "live": False}})

    assert client.patch(PREFERENCES, EVERYTHING).json() == EVERYTHING
    assert not Mute.objects.exists()


def test_saying_it_twice_is_as_good_as_once(api, customer):
    for _ in range(2):
        api(customer).patch(PREFERENCES, {"comment_added": {"live": False}})

    assert Mute.objects.count() == 1


@pytest.mark.parametrize("body", [{}, {"comment_added": {}}])
def test_a_change_of_nothing_is_no_error(api, customer, body):
    response = api(customer).patch(PREFERENCES, body)

    assert (response.status_code, response.json()) == (200, EVERYTHING)


def test_everybody_changes_their_own_only(api, customer, stranger):
    api(customer).patch(PREFERENCES, {"comment_added": {"live": False}})

    assert api(stranger).get(PREFERENCES).json() == EVERYTHING
    assert list(Mute.objects.values_list("user__username", "kind", "medium")) == [("alice", "comment_added", "live")]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"title_changed": {"live": False}}, {"#/title_changed": "unknown"}),
        ({"comment_added": {"sms": False}}, {"#/comment_added/sms": "unknown"}),
        ({"comment_added": {"live": "no"}}, {"#/comment_added/live": "invalid"}),
        ({"comment_added": {"live": 0}}, {"#/comment_added/live": "invalid"}),
        ({"comment_added": {"live": None}}, {"#/comment_added/live": "null"}),
        ({"comment_added": False}, {"#/comment_added": "invalid"}),
        ({"comment_added": None}, {"#/comment_added": "null"}),
        (
            {"user": 1, "comment_added": {"": 1, "email": 1}},
            {"#/user": "unknown", "#/comment_added/": "unknown", "#/comment_added/email": "invalid"},
        ),
        ([], {"#": "invalid"}),
    ],
)
def test_a_refused_preference_is_named_and_nothing_is_changed(api, customer, body, expected):
    also_good = body | {"status_changed": {"email": False}} if body else body

    assert refusals(api(customer).patch(PREFERENCES, also_good)) == expected
    assert not Mute.objects.exists()


def test_a_body_of_names_that_are_unknown_is_answered_in_short(api, customer):
    response = api(customer).patch(PREFERENCES, {f"kind_{number}": {} for number in range(1000)})

    assert list(refusals(response)) == [f"#/kind_{number}" for number in range(10)]


@pytest.mark.parametrize(
    ("constraint", "changes"),
    [
        ("tickets_mute_unique", {}),
        ("tickets_mute_kind_announced", {"kind": "title_changed"}),
        ("tickets_mute_medium_known", {"medium": "sms"}),
    ],
)
def test_the_database_refuses_what_makes_no_sense(customer, constraint, changes):
    mute = {"user": customer, "kind": "comment_added", "medium": "live"}
    Mute.objects.create(**mute)

    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        Mute.objects.create(**mute | changes)


def test_a_superuser_reads_them_on_the_page_of_the_user(client, superuser, customer):
    Mute.objects.create(user=customer, kind="comment_added", medium="live")
    Mute.objects.create(user=customer, kind="status_changed", medium="email")
    client.force_login(superuser)
    page = reverse("admin:users_user_change", args=[customer.pk])

    html = client.get(page, headers={"Accept-Language": "es"}).text

    assert "En directo: Comentario añadido, Correo electrónico: Estado cambiado" in html
