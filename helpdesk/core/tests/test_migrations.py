"""The lock timeout of migrations."""

import psycopg
import pytest
from django.core.management import call_command
from django.db import OperationalError, connection, transaction
from django.db.migrations.executor import MigrationExecutor


def lock_timeout():
    with connection.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        return cursor.fetchone()[0]


@pytest.mark.django_db
def test_every_migration_has_a_lock_timeout_and_nothing_after_it(monkeypatch):
    seen = []
    migrate = MigrationExecutor.migrate

    def look(executor, *args, **kwargs):
        seen.append(lock_timeout())
        return migrate(executor, *args, **kwargs)

    monkeypatch.setattr(MigrationExecutor, "migrate", look)

    call_command("migrate", verbosity=0)

    assert (seen, lock_timeout()) == (["5s"], "0")


@pytest.mark.django_db(transaction=True)
def test_a_migration_that_waits_for_a_long_transaction_gives_up_and_may_be_run_again(monkeypatch, settings):
    settings.MIGRATION_LOCK_TIMEOUT_MS = 50
    address = connection.get_connection_params()
    names = {name: address[name] for name in ("host", "port", "user", "password", "dbname")}

    def lock(executor, *args, **kwargs):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("LOCK TABLE users_user IN ACCESS EXCLUSIVE MODE")

    monkeypatch.setattr(MigrationExecutor, "migrate", lock)
    with psycopg.connect(**names) as other:
        other.execute("SELECT FROM users_user")

        with pytest.raises(OperationalError, match="lock timeout"):
            call_command("migrate", verbosity=0)

    monkeypatch.undo()
    call_command("migrate", verbosity=0)
    assert lock_timeout() == "0"
