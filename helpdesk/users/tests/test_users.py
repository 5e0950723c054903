"""Profiles, passwords, and the list of users."""

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from helpdesk.users import actions
from helpdesk.users.models import AddressChange, Role, User
from helpdesk.users.tests.factories import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db

ME = "/api/users/me/"
NEW_ADDRESS = {"email": "a@example.org", "current_password": PASSWORD}


def usernames(response):
    return [item["username"] for item in response.json()["results"]]


def test_me_is_the_caller(api, customer):
    response = api(customer).get(ME)

    assert response.json() == {
        "id": customer.pk,
        "username": "alice",
        "name": customer.name,
        "role": "customer",
        "email": "alice@example.com",
        "language": "en",
        "is_active": True,
        "date_joined": customer.date_joined.isoformat().replace("+00:00", "Z"),
        "pending_email": None,
    }


def test_users_change_their_name_and_language_at_once_and_their_address_later(api, customer):
    response = api(customer).patch(ME, {"name": "Alice C.", "language": "es"} | NEW_ADDRESS)

    customer.refresh_from_db()
    assert response.status_code == 200
    assert (customer.name, customer.email, customer.language) == ("Alice C.", "alice@example.com", "es")
    assert response.json() == api(customer).get(ME).json()
    assert response.json()["pending_email"] == "a@example.org"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"email": "a@example.org"}, "required"),
        ({"email": "a@example.org", "current_password": "wrong"}, "wrong_password"),
        ({"email": "a@example.org", "current_password": ""}, "blank"),
    ],
)
def test_a_new_address_requires_the_current_password(api, customer, body, code):
    response = api(customer).patch(ME, body | {"name": "Mallory"})

    assert response.status_code == 400
    assert [(error["pointer"], error["code"]) for error in response.json()["errors"]] == [("#/current_password", code)]
    assert not User.objects.filter(name="Mallory").exists()
    assert not AddressChange.objects.exists()


def test_other_changes_need_no_password(api, customer):
    for body in ({"name": "Alice C."}, {"email": "alice@example.com"}):
        assert api(customer).patch(ME, body).status_code == 200


def test_wrong_passwords_for_a_new_address_count_as_failed_logins(api, customer, settings):
    body = NEW_ADDRESS | {"current_password": "wrong"}

    statuses = [api(customer).patch(ME, body).status_code for _ in range(settings.AXES_FAILURE_LIMIT + 1)]

    assert statuses == [400] * settings.AXES_FAILURE_LIMIT + [429]


def test_a_profile_writes_the_changed_fields_alone_and_nothing_when_nothing_changes(api, customer):
    with CaptureQueriesContext(connection) as queries:
        api(customer).patch(ME, {"name": "Alice C."})
        api(customer).patch(ME, {"name": "Alice C."})

    (update,) = [query["sql"] for query in queries if query["sql"].startswith("UPDATE")]
    assert update == f"""UPDATE "users_user" SET "name" = 'Alice C.' WHERE "users_user"."id" = {customer.pk}"""


def test_update_user_refuses_to_write_a_password(customer):
    with pytest.raises(ValueError, match="password"):
        actions.update_user(customer.pk, changes={"password": customer.password}, by=customer)


def test_an_address_is_looked_up_by_its_unique_index(customer):
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")

    plan = User.objects.with_email("ALICE@example.com").explain()

    assert "Index Scan using users_user_email_unique" in plan
    assert User.objects.with_email("ALICE@example.com").get() == customer


def test_nobody_else_sees_the_pending_address(api, agent, customer):
    api(customer).patch(ME, NEW_ADDRESS)

    pages = [api(agent).get(path).text for path in ("/api/users/", f"/api/users/{customer.pk}/", ME)]

    assert not [page for page in pages if "a@example.org" in page]


def test_a_stale_user_object_does_not_restore_an_old_password(api, customer):
    actions.change_password(User.objects.get(pk=customer.pk), new_password="another horse entirely")

    actions.update_profile(customer, changes={"name": "Alice C."})

    user = User.objects.get(pk=customer.pk)
    assert (user.name, user.check_password("another horse entirely")) == ("Alice C.", True)


def test_nobody_promotes_themselves(api, customer):
    api(customer).patch(ME, {"role": "agent", "is_superuser": True, "is_active": False, "username": "root", "id": 1})

    customer.refresh_from_db()
    assert (customer.role, customer.is_superuser, customer.is_active, customer.username) == (
        "customer",
        False,
        True,
        "alice",
    )


@pytest.mark.parametrize(
    "body",
    [
        {"email": "nonsense"},
        {"email": ""},
        {"email": None},
        {"language": "xx"},
        {"name": "x" * 151},
        {"name": "A\nB"},
        {"name": "A\aB"},
        {"name": "A\u202eB"},
        {"name": "\u200b"},
        {"name": 5},
        {"name": None},
    ],
)
def test_a_bad_profile_is_400_and_changes_nothing(api, customer, body):
    before = User.objects.values().get(pk=customer.pk)

    response = api(customer).patch(ME, body)

    assert response.status_code == 400
    assert response.json()["errors"][0]["pointer"] == f"#/{next(iter(body))}"
    assert User.objects.values().get(pk=customer.pk) == before


def test_the_database_refuses_a_second_user_with_the_same_address(customer):
    with pytest.raises(IntegrityError, match="users_user_email_unique"), transaction.atomic():
        UserFactory(email="ALICE@EXAMPLE.COM")


def test_the_database_refuses_a_superuser_who_is_no_agent(customer):
    with pytest.raises(IntegrityError, match="users_user_superuser_is_agent"), transaction.atomic():
        UserFactory(is_superuser=True, role=Role.CUSTOMER)


def test_a_password_change_returns_a_valid_pair(api, customer):
    client = api(customer)
    body = {"current_password": PASSWORD, "new_password": "another horse entirely"}

    response = client.post(f"{ME}password/", body)

    assert response.status_code == 200
    assert client.get(ME).status_code == 401
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {response.json()['access']}")
    assert client.get(ME).status_code == 200
    customer.refresh_from_db()
    assert customer.check_password("another horse entirely")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"current_password": "wrong", "new_password": "another horse entirely"}, "current_password"),
        ({"current_password": PASSWORD, "new_password": "password"}, "new_password"),
        ({"current_password": PASSWORD, "new_password": "12345678901"}, "new_password"),
        ({"current_password": PASSWORD, "new_password": "x" * 129}, "new_password"),
        ({"current_password": PASSWORD, "new_password": "alice@example.com"}, "new_password"),
        ({"current_password": PASSWORD}, "new_password"),
    ],
)
def test_a_weak_new_password_or_a_wrong_current_one_is_400(api, customer, body, field):
    response = api(customer).post(f"{ME}password/", body)

    customer.refresh_from_db()
    assert response.status_code == 400
    assert response.json()["errors"][0]["pointer"] == f"#/{field}"
    assert customer.check_password(PASSWORD)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["agatha", "alice", "bob"]),
        ("?role=agent", ["agatha"]),
        ("?role=customer&search=BO", ["bob"]),
        ("?search=alice@", ["alice"]),
        ("?search=nobody", []),
        ("?is_active=false", []),
    ],
)
def test_agents_filter_and_search_users(api, agent, customer, stranger, query, expected):
    assert usernames(api(agent).get(f"/api/users/{query}")) == expected


@pytest.mark.parametrize(
    ("name", "queries"),
    [
        ("Núria Peña", ["nuria", "NÚRIA", "nu\u0301ria", "pena", "ria pe"]),
        ("Nu\u0301ria", ["nuria", "núria"]),
        ("Łukasz Sørensen Đurić \u0131spanak Groß", ["lukasz", "SORENSEN", "duric", "ispanak", "gross", "Łu"]),
    ],
)
def test_search_ignores_accents(api, agent, client, superuser, name, queries):
    UserFactory(username="found", name=name)
    client.force_login(superuser)

    for query in queries:
        assert usernames(api(agent).get("/api/users/", {"search": query})) == ["found"]
        page = client.get("/admin/users/user/", {"q": query})
        assert [user.username for user in page.context["cl"].result_list] == ["found"]


@pytest.mark.parametrize("query", ["%", "_", "\\", "'"])
def test_wildcards_are_searched_literally(api, agent, customer, query):
    assert usernames(api(agent).get("/api/users/", {"search": query})) == []


def test_a_customer_sees_nobody_else(api, agent, customer, stranger):
    client = api(customer)

    assert usernames(client.get("/api/users/")) == ["alice"]
    assert client.get("/api/users/?role=agent").json()["count"] == 0
    assert client.get(f"/api/users/{customer.pk}/").status_code == 200
    assert client.get(f"/api/users/{stranger.pk}/").status_code == 404
    assert client.get(f"/api/users/{agent.pk}/").status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [("get", "/api/users/"), ("get", "/api/users/1/"), ("get", ME), ("patch", ME), ("post", f"{ME}password/")],
)
def test_without_a_token_users_are_401(api, method, path):
    assert getattr(api(), method)(path).status_code == 401


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_users_are_not_written_by_the_api(api, superuser, customer, method):
    path = "/api/users/" if method == "post" else f"/api/users/{customer.pk}/"

    assert getattr(api(superuser), method)(path, {"username": "x"}).status_code == 405


@pytest.mark.parametrize("size", [1, 20])
def test_a_list_of_users_costs_three_queries_whatever_its_length(api, agent, size):
    UserFactory.create_batch(size)
    client = api(agent)

    with CaptureQueriesContext(connection) as queries:
        client.get("/api/users/")

    assert len(queries) == 3
