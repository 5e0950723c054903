"""The home page, the API root and the admin."""

import pytest

from helpdesk.users.models import Role


def test_the_home_page_links_to_docs_and_admin(client):
    response = client.get("/")

    assert response.status_code == 200
    for link in ("/api/docs/", "/api/schema/", "/admin/"):
        assert f'href="{link}"' in response.text


def test_the_home_page_is_in_the_language_of_the_browser(client):
    assert '<html lang="es">' in client.get("/", headers={"Accept-Language": "es-AR"}).text


def test_the_api_root_lists_the_resources(api):
    response = api().get("/api/")

    assert response.json() == {
        "tickets": "http://testserver/api/tickets/",
        "comments": "http://testserver/api/comments/",
        "notifications": "http://testserver/api/notifications/",
        "preferences": "http://testserver/api/preferences/",
        "users": "http://testserver/api/users/",
        "me": "http://testserver/api/users/me/",
        "token": "http://testserver/api/auth/token/",
        "docs": "http://testserver/api/docs/",
        "schema": "http://testserver/api/schema/",
    }


@pytest.mark.parametrize("page", ["/admin/", "/admin/tickets/ticket/"])
@pytest.mark.parametrize(("role", "expected"), [(Role.CUSTOMER, 302), (Role.AGENT, 200)])
def test_only_agents_enter_the_admin(client, customer, page, role, expected):
    customer.role = role
    customer.save()
    client.force_login(customer, backend="django.contrib.auth.backends.ModelBackend")

    assert client.get(page).status_code == expected
