"""Users choose what they are notified of, by kind and channel."""

import pytest
from django.db import IntegrityError, transaction
from django.urls import reverse

from helpdesk.subscriptions.models import NotificationPreference

pytestmark = pytest.mark.django_db

PREFERENCES = "/api/preferences/"
BOTH = {"email": True, "live": True}
EVERYTHING = {"ticket_created": BOTH, "status_changed": BOTH, "comment_added": BOTH}


def disable(user, kind, channel):
    NotificationPreference.objects.create(user=user, kind=kind, channel=channel, is_enabled=False)


def refusals(response):
    assert response.status_code == 400
    return {error["pointer"]: error["code"] for error in response.json()["errors"]}


def test_everything_is_enabled_by_default(api, customer, stranger):
    disable(stranger, "comment_added", "live")

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


def test_what_was_disabled_can_be_enabled_again(api, customer):
    client = api(customer)
    client.patch(PREFERENCES, {"comment_added": {"email": False, "live": False}})

    assert client.patch(PREFERENCES, EVERYTHING).json() == EVERYTHING
    assert not NotificationPreference.objects.disabled().exists()


def test_a_repeated_change_keeps_one_row(api, customer):
    for _ in range(2):
        api(customer).patch(PREFERENCES, {"comment_added": {"live": False}})

    assert NotificationPreference.objects.count() == 1


@pytest.mark.parametrize(
    ("method", "body", "statuses"),
    [
        ("get", None, (401, 200, 200, 200)),
        ("patch", {"comment_added": {"live": False}}, (401, 200, 200, 200)),
        ("patch", {"nonsense": {"live": False}}, (401, 400, 400, 400)),
        ("put", {"comment_added": {"live": False}}, (401, 405, 405, 405)),
    ],
)
def test_each_caller_gets_what_the_table_says(api, customer, agent, superuser, method, body, statuses):
    for user, status in zip((None, customer, agent, superuser), statuses, strict=True):
        response = getattr(api(user), method)(PREFERENCES, body)

        assert response.status_code == status
        assert ("WWW-Authenticate" in response) == (status == 401)
        if status >= 400:
            assert response["Content-Type"] == "application/problem+json"
            assert not NotificationPreference.objects.filter(user=user).exists()


@pytest.mark.parametrize("body", [{}, {"comment_added": {}}])
def test_a_change_of_nothing_is_no_error(api, customer, body):
    response = api(customer).patch(PREFERENCES, body)

    assert (response.status_code, response.json()) == (200, EVERYTHING)


def test_users_change_their_own_preferences_only(api, customer, stranger):
    api(customer).patch(PREFERENCES, {"comment_added": {"live": False}})

    assert api(stranger).get(PREFERENCES).json() == EVERYTHING
    assert list(NotificationPreference.objects.values_list("user__username", "kind", "channel", "is_enabled")) == [
        ("alice", "comment_added", "live", False)
    ]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"title_changed": {"live": False}}, {"#/title_changed": "unknown"}),
        ({"comment_added": {"fax": False}}, {"#/comment_added/fax": "unknown"}),
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
    assert not NotificationPreference.objects.exists()


def test_a_body_of_names_that_are_unknown_is_answered_in_short(api, customer):
    response = api(customer).patch(PREFERENCES, {f"kind_{number}": {} for number in range(1000)})

    assert list(refusals(response)) == [f"#/kind_{number}" for number in range(10)]


@pytest.mark.parametrize(
    ("constraint", "changes"),
    [
        ("subscriptions_preference_unique", {}),
        ("subscriptions_preference_kind_known", {"kind": "title_changed"}),
        ("subscriptions_preference_channel_known", {"channel": "fax"}),
    ],
)
def test_the_database_refuses_what_makes_no_sense(customer, constraint, changes):
    row = {"user": customer, "kind": "comment_added", "channel": "live", "is_enabled": True}
    NotificationPreference.objects.create(**row)

    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        NotificationPreference.objects.create(**row | changes)


def test_a_superuser_reads_what_is_disabled_on_the_page_of_the_user(client, superuser, customer):
    disable(customer, "comment_added", "live")
    disable(customer, "status_changed", "email")
    client.force_login(superuser)
    page = reverse("admin:users_user_change", args=[customer.pk])

    html = client.get(page, headers={"Accept-Language": "es"}).text

    assert "En directo: Comentario añadido, Correo electrónico: Estado cambiado" in html
