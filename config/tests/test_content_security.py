"""Content-Security-Policy, Permissions-Policy and caching headers of pages and API responses."""

import re

import pytest
from django.test import Client

from helpdesk.emails.messages import get_unsubscribe_url
from helpdesk.emails.models import EmailKind

INLINE = re.compile(r"""<style|<script(?![^>]*\ssrc=)|\sstyle=|\son[a-z]+=|javascript:""")


def directives(response):
    """Return the sources of each directive of the response's Content-Security-Policy."""
    policy = response.headers["Content-Security-Policy"]
    return {name: sources for name, *sources in map(str.split, policy.split(";"))}


@pytest.fixture
def pages(customer):
    return ["/", "/api/docs/", get_unsubscribe_url(customer, EmailKind.COMMENT_ADDED).partition("localhost:8000")[2]]


def test_pages_have_nothing_inline_and_load_from_this_site_only(client, pages):
    for page in pages:
        response = client.get(page)

        policy = directives(response)
        assert (response.status_code, policy["default-src"], policy["frame-ancestors"]) == (
            200,
            ["'none'"],
            ["'none'"],
        )
        assert {source for sources in policy.values() for source in sources} == {"'none'", "'self'", "data:"}
        assert policy["script-src"] == policy["style-src"] == ["'self'"]
        assert not INLINE.search(response.text)


def test_the_admin_runs_no_inline_script_either(client, superuser):
    client.force_login(superuser, backend="django.contrib.auth.backends.ModelBackend")

    for page in ("/admin/", "/admin/tickets/ticket/", "/admin/tickets/ticket/add/", "/admin/nonesuch/"):
        policy = directives(client.get(page))

        assert policy["script-src"] == ["'self'"]
        assert policy["style-src"] == ["'self'", "'unsafe-inline'"]
        assert (policy["default-src"], policy["frame-ancestors"]) == (["'none'"], ["'none'"])


@pytest.mark.parametrize("path", ["/livez", "/nonesuch", "/api/", "/api/tickets/", "/api/nonesuch/", "/api/schema/"])
def test_other_responses_than_pages_may_load_nothing(client, db, path):
    assert directives(client.get(path)) == {"default-src": ["'none'"], "frame-ancestors": ["'none'"]}


def test_every_response_has_the_security_headers(client, pages):
    for path in (*pages, "/admin/login/", "/livez", "/api/tickets/"):
        headers = client.get(path).headers

        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"


def test_pages_may_use_no_features_of_the_device(client, pages):
    for page in (*pages, "/admin/login/"):
        assert "camera=(), geolocation=(), microphone=()" in client.get(page).headers["Permissions-Policy"]


def test_tokens_are_not_cached(api, customer):
    customer.set_password("a long sentence")
    customer.save()

    response = api().post("/api/auth/token/", {"username": customer.username, "password": "a long sentence"})

    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/api/tickets/", "private, no-cache"),
        ("/api/comments/", "private, no-cache"),
        ("/api/notifications/", "no-store"),
        ("/api/users/me/", "no-store"),
    ],
)
def test_personal_responses_are_not_shared(api, customer, path, kept):
    headers = api(customer).get(path).headers

    assert headers["Cache-Control"] == kept
    assert "Authorization" in headers["Vary"]


@pytest.mark.parametrize(("debug", "has_policy"), [(True, False), (False, True)])
def test_a_debug_page_has_no_policy(settings, debug, has_policy, agent):
    settings.DEBUG = debug
    client = Client()
    client.force_login(agent, backend="django.contrib.auth.backends.ModelBackend")

    response = client.get("/admin/nonesuch/")

    assert response.status_code == 404
    assert ("Content-Security-Policy" in response.headers) is has_policy
