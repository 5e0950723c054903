"""Superusers manage users in the admin."""

from datetime import timedelta

import pytest
import time_machine
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from helpdesk.testing import count_queries
from helpdesk.users import admin
from helpdesk.users.actions import change_password
from helpdesk.users.models import AddressChange, Language, Role, User
from helpdesk.users.tasks import delete_expired_sessions
from helpdesk.users.tests.factories import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db

USERS = reverse("admin:users_user_changelist")
ADD = reverse("admin:users_user_add")
NEW_PASSWORD = "staple correct battery"


def page_of(user, name="change"):
    return reverse(f"admin:users_user_{name}", args=[user.pk])


def password_page_of(user):
    return reverse("admin:auth_user_password_change", args=[user.pk])


def form_of(user, **changes):
    """Return what a browser posts from the page of a user as they are; a box that is not ticked is left out."""
    fields = ["username", "email", "name", "role", "language"]
    boxes = {box: "on" for box in ("is_active", "is_superuser") if changes.get(box, getattr(user, box))}
    initial = {f"initial-{field}": getattr(user, field) for field in (*fields, "is_active", "is_superuser")}
    return initial | {field: changes.get(field, getattr(user, field)) for field in fields} | boxes


def new_user(**changes):
    return {
        "username": "carol",
        "email": "carol@example.com",
        "name": "Carol",
        "role": "agent",
        "language": "es",
        "password1": PASSWORD,
        "password2": PASSWORD,
    } | changes


def listed(response):
    return {user.username for user in response.context["cl"].result_list}


def errors_of(response):
    return response.context["adminform"].form.errors


# Permissions


@pytest.mark.parametrize("method", ["get", "post"])
def test_an_agent_cannot_touch_users(client, agent, customer, method):
    client.force_login(agent)

    for url in (USERS, ADD, page_of(customer), page_of(customer, "delete"), password_page_of(customer)):
        assert getattr(client, method)(url).status_code == 403


def test_only_superusers_see_failed_logins(client, agent, superuser):
    for user, status in ((agent, 403), (superuser, 200)):
        client.force_login(user)

        assert client.get(reverse("admin:axes_accessattempt_changelist")).status_code == status


def test_the_index_lists_only_what_is_used(office):
    apps = office.get(reverse("admin:index")).context["available_apps"]

    names = {model["object_name"] for app in apps for model in app["models"]}
    assert {"User", "AccessAttempt", "Ticket"} <= names
    assert not {"Group", "AccessLog", "AccessFailureLog", "OutstandingToken", "BlacklistedToken"} & names


def test_a_deactivated_agent_is_logged_out(client):
    agent = UserFactory(agent=True)
    client.force_login(agent)
    User.objects.filter(pk=agent.pk).update(is_active=False)

    assert client.get(reverse("admin:index")).status_code == 302


# Lists


def test_users_are_searched_and_filtered(office, customer, agent):
    UserFactory(username="gone", email="someone@else.example", is_active=False)

    assert listed(office.get(USERS, {"q": "ELSE.example"})) == {"gone"}
    assert listed(office.get(USERS, {"role__exact": "customer"})) == {"alice", "gone"}
    assert listed(office.get(USERS, {"is_active__exact": "0"})) == {"gone"}


def test_the_list_takes_as_many_queries_for_many_users_as_for_one(office):
    few = count_queries(office, USERS)

    UserFactory.create_batch(20)

    assert count_queries(office, USERS) == few <= 5


# Adding and changing


def test_a_new_user_can_log_in(office, api):
    office.post(ADD, new_user())

    user = User.objects.get(username="carol")
    assert (user.email, user.name, user.role, user.language) == (
        "carol@example.com",
        "Carol",
        Role.AGENT,
        Language.SPANISH,
    )
    response = api(None).post("/api/auth/token/", {"username": "carol", "password": PASSWORD})
    assert response.status_code == 200


@pytest.mark.parametrize(
    "changes, field",
    [
        ({"password2": "something else"}, "password2"),
        ({"password1": "12345", "password2": "12345"}, "password2"),
        ({"password1": "x" * 129, "password2": "x" * 129}, "password2"),
        ({"password1": "", "password2": ""}, "password1"),
        ({"username": "alice"}, "username"),
        ({"username": "ALICE"}, "username"),
        ({"email": "Alice@Example.COM"}, "email"),
        ({"email": "nobody"}, "email"),
        ({"role": "king"}, "role"),
    ],
)
def test_a_refused_new_user_is_a_form_error(office, customer, changes, field):
    response = office.post(ADD, new_user(**changes))

    assert field in errors_of(response)
    assert not User.objects.filter(name="Carol").exists()


def test_everything_about_a_user_can_be_changed(office, customer):
    changes = {"username": "alicia", "email": "a@example.org", "name": "Alicia", "role": "agent", "language": "es"}

    office.post(page_of(customer), form_of(customer, **changes, is_active=False))

    customer.refresh_from_db()
    assert {field: getattr(customer, field) for field in changes} == changes
    assert not customer.is_active


def test_a_stale_form_overwrites_nothing_else(office, agent):
    stale = form_of(agent, name="Agatha C.")
    others = Client()
    others.force_login(UserFactory(superuser=True))
    others.post(page_of(agent), form_of(agent, is_active=False, role="customer"))
    others.post(password_page_of(agent), {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD})

    assert office.post(page_of(agent), stale).status_code == 302

    agent.refresh_from_db()
    assert (agent.name, agent.role, agent.is_active) == ("Agatha C.", Role.CUSTOMER, False)
    assert agent.check_password(NEW_PASSWORD)


def test_the_page_of_a_user_contains_its_initial_values(office, customer):
    page = office.get(page_of(customer)).text

    for field in ("username", "email", "name", "role", "language", "is_active", "is_superuser"):
        assert f'name="initial-{field}"' in page


def test_a_user_is_locked_and_only_changed_fields_are_written(office, customer):
    with CaptureQueriesContext(connection) as queries:
        office.post(page_of(customer), form_of(customer, name="Alice C."))

    sql = [query["sql"] for query in queries if '"users_user"' in query["sql"]]
    (update,) = [text for text in sql if text.startswith("UPDATE")]
    lock = next(text for text in sql if "FOR NO KEY UPDATE" in text)
    assert update == f"""UPDATE "users_user" SET "name" = 'Alice C.' WHERE "users_user"."id" = {customer.pk}"""
    assert sql.index(lock) < sql.index(update)


def test_a_conflicting_change_is_refused_with_its_reason(office, agent):
    stale = form_of(agent, is_superuser=True)
    User.objects.filter(pk=agent.pk).update(role=Role.CUSTOMER)

    response = office.post(page_of(agent), stale, follow=True)

    assert response.status_code == 200
    assert "conflicting change" in response.text
    assert not User.objects.get(pk=agent.pk).is_superuser


def test_a_superuser_who_changes_their_own_address_stays_logged_in(office, superuser):
    office.post(page_of(superuser), form_of(superuser, email="root@example.org"))

    assert User.objects.filter(email="root@example.org").exists()
    assert office.get(USERS).status_code == 200


def test_a_change_of_a_name_invalidates_the_lists_that_show_it(
    office, api, customer, ticket, django_capture_on_commit_callbacks
):
    api(customer).get("/api/tickets/")

    with django_capture_on_commit_callbacks(execute=True):
        office.post(page_of(customer), form_of(customer, name="Alice Cooper"))

    assert api(customer).get("/api/tickets/").json()["results"][0]["created_by"]["name"] == "Alice Cooper"


@pytest.mark.parametrize(
    "changes, field",
    [
        ({"email": "BOB@example.com"}, "email"),
        ({"name": "A\u202eB"}, "name"),
        ({"name": "A\u2028B"}, "name"),
        ({"name": "\u2060"}, "name"),
        ({"username": "bob"}, "username"),
        ({"is_superuser": True}, "__all__"),
    ],
)
def test_a_refused_change_is_a_form_error(office, customer, stranger, changes, field):
    response = office.post(page_of(customer), form_of(customer, **changes))

    assert field in errors_of(response)


def test_a_user_may_change_the_case_of_their_address(office, customer):
    response = office.post(page_of(customer), form_of(customer, email="ALICE@example.com"))

    assert response.status_code == 302


def test_the_page_shows_a_pending_address_and_a_new_one_cancels_it(office, customer):
    AddressChange.objects.create(user=customer, email="pending@example.org")
    assert "pending@example.org" in office.get(page_of(customer)).text

    office.post(page_of(customer), form_of(customer, name="Alice C."))
    assert AddressChange.objects.exists()
    office.post(page_of(customer), form_of(customer, email="given@example.org"))

    customer.refresh_from_db()
    assert customer.email == "given@example.org"
    assert not AddressChange.objects.exists()


# Passwords


def test_a_new_password_replaces_the_old_one_and_ends_its_tokens(office, api, customer):
    logged_in = api(customer)

    office.post(password_page_of(customer), {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD})

    customer.refresh_from_db()
    assert customer.check_password(NEW_PASSWORD)
    assert logged_in.get("/api/users/me/").status_code == 401


def test_the_page_of_a_user_links_to_their_password(office, customer):
    assert 'href="../password/"' in office.get(page_of(customer)).content.decode()
    assert office.get(password_page_of(customer)).status_code == 200


def test_two_different_new_passwords_are_refused(office, customer):
    response = office.post(password_page_of(customer), {"password1": NEW_PASSWORD, "password2": "other"})

    assert "password2" in response.context["form"].errors
    customer.refresh_from_db()
    assert customer.check_password(PASSWORD)


def test_a_password_can_be_disabled(office, customer):
    office.post(password_page_of(customer), {"usable_password": "false", "unset-password": "1"})

    customer.refresh_from_db()
    assert not customer.has_usable_password()


# Deletion and deactivation


def test_a_user_with_tickets_cannot_be_deleted_and_the_page_says_why(office, customer, ticket):
    response = office.post(page_of(customer, "delete"), {"post": "yes"})

    assert "tickets (created by)" in response.content.decode()
    assert User.objects.filter(pk=customer.pk).exists()


def test_a_user_without_other_rows_can_be_deleted(office, customer):
    office.post(page_of(customer, "delete"), {"post": "yes"})

    assert not User.objects.filter(pk=customer.pk).exists()


def test_a_bulk_deactivation_restores_no_old_password(office, customer, monkeypatch):
    read = []
    update_user = admin.update_user

    def change_the_password_first(user_id, **options):
        read.append(user_id)
        change_password(User.objects.get(pk=user_id), new_password=NEW_PASSWORD)
        return update_user(user_id, **options)

    monkeypatch.setattr(admin, "update_user", change_the_password_first)

    office.post(USERS, {"_selected_action": [customer.pk], "action": "deactivate"})

    customer.refresh_from_db()
    assert read == [customer.pk]
    assert (customer.is_active, customer.check_password(NEW_PASSWORD)) == (False, True)


def test_many_users_are_deactivated_not_deleted(office, customer, stranger, superuser):
    chosen = {"_selected_action": [customer.pk, stranger.pk, superuser.pk]}

    office.post(USERS, chosen | {"action": "delete_selected", "post": "yes"})
    office.post(USERS, chosen | {"action": "deactivate"})

    assert set(User.objects.values_list("username", "is_active")) == {("alice", False), ("bob", False), ("root", True)}


def test_expired_admin_sessions_are_deleted(client, office, agent, settings):
    with time_machine.travel(timezone.now() - timedelta(seconds=settings.SESSION_COOKIE_AGE + 60)):
        Client().force_login(agent)
    assert Session.objects.count() == 2

    deleted = delete_expired_sessions()

    assert deleted == 1
    assert office.get(reverse("admin:index")).status_code == 200
