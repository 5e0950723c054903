"""Liveness and readiness probes."""

import pytest
from django.db import OperationalError, connection


def test_liveness_needs_neither_database_nor_redis(client):
    assert client.get("/livez").json() == {"status": "healthy"}


@pytest.mark.django_db
def test_readiness_is_ok_with_postgresql_and_redis(client):
    response = client.get("/readyz")

    assert response.status_code == 200
    assert response.json() == {"status": "healthy", "postgresql": True, "redis": True}


@pytest.mark.django_db
def test_readiness_is_degraded_without_redis(client, redis_down):
    response = client.get("/readyz")

    assert response.status_code == 200
    assert response.json() == {"status": "degraded", "postgresql": True, "redis": False}


@pytest.mark.django_db
def test_readiness_fails_without_postgresql(client, monkeypatch):
    def refuse():
        raise OperationalError

    monkeypatch.setattr(connection, "cursor", refuse)

    response = client.get("/readyz")

    assert response.status_code == 503
    assert response.json() == {"status": "unavailable", "postgresql": False, "redis": True}
