"""The first query of a request, on a kept connection."""

import psycopg
import pytest
from django.db import OperationalError, connection, transaction

from helpdesk.core.database import fetch_first
from helpdesk.testing import database_url

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def backend():
    """Return the process of PostgreSQL that serves the connection."""
    return fetch_first("SELECT pg_backend_pid()", [])[0]


def terminate(backend):
    with psycopg.connect(database_url(), autocommit=True) as other:
        # Waits until it has ended.
        assert other.execute("SELECT pg_terminate_backend(%s, 5000)", [backend]).fetchone() == (True,)


def test_it_runs_on_a_new_connection_if_postgresql_has_closed_the_kept_one(backend):
    terminate(backend)

    assert fetch_first("SELECT pg_backend_pid() <> %s", [backend]) == (True,)


def test_a_request_with_a_token_survives_a_closed_connection(api, customer, backend):
    client = api(customer)
    terminate(backend)

    assert client.get("/api/users/me/").status_code == 200


def test_a_transaction_whose_connection_was_closed_fails(backend):
    with transaction.atomic():
        terminate(backend)
        with pytest.raises(OperationalError):
            fetch_first("SELECT 1", [])
        connection.needs_rollback = True


def test_a_query_that_fails_on_a_working_connection_is_not_repeated(backend):
    fetch_first("SELECT set_config('statement_timeout', '50ms', false)", [])

    with pytest.raises(OperationalError, match="statement timeout"):
        fetch_first("SELECT pg_sleep(10)", [])

    assert fetch_first("SELECT pg_backend_pid()", []) == (backend,)
    connection.close()


def test_a_database_that_is_away_is_asked_once(monkeypatch):
    attempts = []

    def connect(parameters):
        attempts.append(parameters)
        raise OperationalError

    connection.close()
    monkeypatch.setattr(connection, "get_new_connection", connect)

    with pytest.raises(OperationalError):
        fetch_first("SELECT 1", [])

    assert len(attempts) == 1
