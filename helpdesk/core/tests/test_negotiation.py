"""OPTIONS responds with the methods and no body; an empty Accept header accepts everything."""

import pytest
from django.urls import reverse

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("path", "allow"),
    [
        ("/api/tickets/", "GET, POST, HEAD, OPTIONS"),
        ("/api/comments/", "GET, POST, HEAD, OPTIONS"),
        ("/api/auth/token/", "POST, OPTIONS"),
        ("/api/users/me/", "GET, PATCH, HEAD, OPTIONS"),
        ("/api/docs/", "GET, HEAD, OPTIONS"),
        ("/api/schema/", "GET, HEAD, OPTIONS"),
        ("/api/", "GET, HEAD, OPTIONS"),
    ],
)
def test_options_is_answered_with_the_methods_and_no_body(api, customer, path, allow):
    response = api(customer).options(path)

    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["Allow"] == allow
    assert response.headers["Content-Length"] == "0"
    assert "Content-Type" not in response.headers


def test_options_of_the_docs_needs_no_token(api):
    assert api().options(reverse("docs"), headers={"Accept": "text/html"}).status_code == 200


def test_options_needs_a_token_where_the_methods_do(api):
    assert api().options("/api/tickets/").status_code == 401


@pytest.mark.parametrize("accept", ["", " ", ",", " , ", ", application/json"])
def test_an_empty_accept_header_is_as_good_as_none(api, customer, accept):
    response = api(customer).get("/api/tickets/", headers={"Accept": accept})

    assert (response.status_code, response.headers["Content-Type"]) == (200, "application/json")


def test_the_docs_are_html_without_an_accept_header(api):
    response = api().get(reverse("docs"), headers={"Accept": ""})

    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/html")
