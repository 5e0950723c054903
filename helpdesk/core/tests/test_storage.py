"""Autovacuum settings of growing tables."""

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection

from helpdesk.core.storage import AUTOVACUUM

GROWING = [
    "axes.AccessAttempt",
    "core.IdempotencyKey",
    "emails.Attempt",
    "emails.Email",
    "notifications.Frame",
    "notifications.Notification",
    "tickets.Comment",
    "tickets.SearchDocument",
    "tickets.SearchWord",
    "tickets.Ticket",
    "tickets.TicketEvent",
    "token_blacklist.BlacklistedToken",
    "token_blacklist.OutstandingToken",
]


def options_of(label):
    table = apps.get_model(label)._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute("SELECT reloptions FROM pg_class WHERE oid = %s::regclass", [table])
        return dict(option.split("=") for option in cursor.fetchone()[0] or [])


@pytest.mark.django_db
@pytest.mark.parametrize("label", GROWING)
def test_a_growing_table_is_vacuumed_often(label):
    assert options_of(label).items() >= AUTOVACUUM.items()


@pytest.mark.django_db
def test_the_settings_can_be_reversed():
    call_command("migrate", "users", "0001", verbosity=0)
    assert options_of("axes.AccessAttempt") == {}

    call_command("migrate", "users", verbosity=0)
    assert options_of("axes.AccessAttempt") == AUTOVACUUM
