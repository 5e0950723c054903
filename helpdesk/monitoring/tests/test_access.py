"""Who may read the health checks and the metrics: agents, and monitoring systems with the health token."""

import pytest

TOKEN = "a-token-of-our-monitoring-system"
CONTENT = {"/api/health/": b"dead_emails", "/metrics": b"helpdesk_dead_emails"}

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def health_token(settings):
    settings.HEALTH_TOKEN = TOKEN


@pytest.fixture(params=CONTENT)
def path(request):
    return request.param


def get(client, path, token):
    return client.get(path, headers={"Authorization": f"Bearer {token}"})


@pytest.mark.parametrize(("who", "status"), [(None, 401), ("customer", 403), ("agent", 200), ("superuser", 200)])
def test_agents_may_read_them_and_others_may_not(api, request, path, who, status):
    response = api(request.getfixturevalue(who) if who else None).get(path)

    assert response.status_code == status
    assert (CONTENT[path] in response.content) == (status == 200)


def test_a_monitoring_system_may_read_them_with_the_health_token(client, path):
    response = get(client, path, TOKEN)

    assert response.status_code == 200
    assert CONTENT[path] in response.content
    assert "no-store" in response.headers["Cache-Control"]


@pytest.mark.parametrize("token", ["another", "", "Bearer", TOKEN.upper(), f"{TOKEN}x", "tökèn"])
def test_another_token_is_401(client, path, token):
    response = get(client, path, token)

    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="api"'
    assert CONTENT[path] not in response.content


@pytest.mark.parametrize("token", ["", "None"])
def test_an_unset_token_grants_no_access(client, path, settings, token):
    settings.HEALTH_TOKEN = ""

    assert get(client, path, token).status_code == 401


@pytest.mark.parametrize("other", ["/api/tickets/", "/api/users/me/", "/api/notifications/"])
def test_the_health_token_grants_access_to_nothing_else(client, other):
    assert get(client, other, TOKEN).status_code == 401
