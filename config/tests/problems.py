"""Assertions on error responses."""

FIELDS = {"type", "title", "status", "detail", "code", "errors", "request_id"}
INTERNALS = ("Traceback", "psycopg", "django", "site-packages", "SELECT", "helpdesk_", "/usr/", ".py")


def status_of(response):
    """Return the status; assert that an error is a problem document without internals."""
    if response.status_code >= 400:
        assert_problem(response)
    return response.status_code


def assert_problem(response):
    assert response.headers["Content-Type"] == "application/problem+json"
    document = response.json()
    assert document.keys() == FIELDS
    assert document["status"] == response.status_code
    assert document["detail"]
    assert document["request_id"] == response.headers["X-Request-ID"]
    assert not [word for word in INTERNALS if word in response.text]


def others_than(expected, statuses):
    """Return the inputs with another status than expected, shortened."""
    assert statuses
    return {repr(value)[:80]: status for value, status in statuses if status != expected}
