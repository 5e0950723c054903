"""Timeouts of connections whose other side is gone or hangs."""

import pytest
from django.db import connection

from helpdesk.tickets.announcer import try_become_leader

SERVER = {
    "client_connection_check_interval": "5s",
    "idle_in_transaction_session_timeout": "30s",
    "statement_timeout": "30s",
    "tcp_keepalives_count": "3",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "5",
    "tcp_user_timeout": "20000",
}
CLIENT = {"keepalives_idle": "5", "keepalives_interval": "5", "keepalives_count": "3", "tcp_user_timeout": "20000"}


def shown(name):
    with connection.cursor() as cursor:
        cursor.execute(f"SHOW {name}")
        return cursor.fetchone()[0]


@pytest.mark.django_db
def test_a_client_that_vanishes_or_hangs_is_given_up_within_a_minute():
    assert {name: shown(name) for name in SERVER} == SERVER


@pytest.mark.django_db
def test_a_server_that_vanishes_is_given_up_within_a_minute():
    connection.ensure_connection()
    parameters = connection.connection.info.get_parameters()

    assert {name: parameters[name] for name in CLIENT} == CLIENT


@pytest.mark.django_db(transaction=True)
def test_a_leader_that_hangs_is_given_up_within_a_minute():
    assert shown("idle_session_timeout") == "0"

    assert try_become_leader()
    assert shown("idle_session_timeout") == "30s"

    connection.close()
