"""Clean-ups delete in short transactions, and are not redelivered to another worker."""

from datetime import timedelta

import pytest
from celery import current_app
from celery.schedules import crontab
from django.db import OperationalError, connection, transaction
from django.db.models import Q
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken

from helpdesk.core import cleanup
from helpdesk.core.cleanup import delete_in_ranges
from helpdesk.users.actions import delete_expired_tokens

pytestmark = pytest.mark.django_db

OLD, YOUNG = -1, 1


def tokens(*ages):
    """Insert tokens that expire so many days from now, each blacklisted; return their ids."""
    now = timezone.now()
    made = [
        OutstandingToken.objects.create(jti=f"jti-{number}", token="", expires_at=now + timedelta(days=days))
        for number, days in enumerate(ages)
    ]
    BlacklistedToken.objects.bulk_create(BlacklistedToken(token=token) for token in made)
    return [token.pk for token in made]


def old_tokens():
    return OutstandingToken.objects.filter(expires_at__lt=timezone.now())


def remaining():
    return list(OutstandingToken.objects.order_by("pk").values_list("pk", flat=True))


@pytest.fixture(params=[1_000, 3, 2, 1])
def range_size(request, monkeypatch):
    monkeypatch.setattr(cleanup, "RANGE_SIZE", request.param)
    return request.param


def test_what_matches_is_deleted_with_what_refers_to_it_and_nothing_else(range_size):
    pks = tokens(OLD, YOUNG, OLD, OLD, OLD, YOUNG, OLD)

    assert delete_in_ranges(old_tokens()) == 5

    assert remaining() == [pks[1], pks[5]]
    assert BlacklistedToken.objects.count() == 2
    assert delete_in_ranges(old_tokens()) == 0


def test_an_empty_table_has_nothing_to_delete(range_size):
    assert delete_in_ranges(old_tokens()) == 0


@pytest.mark.django_db(transaction=True)
def test_each_range_is_a_transaction_of_its_own(monkeypatch):
    monkeypatch.setattr(cleanup, "RANGE_SIZE", 2)
    pks = tokens(OLD, OLD, OLD, OLD, OLD)
    delete_range, calls = cleanup.delete_range, []

    def fail_at_the_third(rows):
        calls.append(rows)
        if len(calls) == 3:
            raise OperationalError
        return delete_range(rows)

    monkeypatch.setattr(cleanup, "delete_range", fail_at_the_third)
    with pytest.raises(OperationalError):
        delete_expired_tokens()

    assert remaining() == [pks[4]]
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        delete_expired_tokens()


def test_no_statement_deletes_more_than_a_range(monkeypatch):
    monkeypatch.setattr(cleanup, "RANGE_SIZE", 2)
    tokens(OLD, OLD, OLD, OLD, OLD)

    with CaptureQueriesContext(connection) as queries:
        delete_expired_tokens()

    deletions = [query["sql"] for query in queries if query["sql"].startswith("DELETE")]
    children_first = ["token_blacklist_blacklistedtoken", "token_blacklist_outstandingtoken"] * 3
    assert [sql.split('"')[1] for sql in deletions] == children_first
    assert all(sql.count(",") <= 1 for sql in deletions)


def test_a_range_without_old_rows_is_the_last_one_where_keys_grow_with_time(monkeypatch):
    monkeypatch.setattr(cleanup, "RANGE_SIZE", 2)
    pks = tokens(OLD, OLD, OLD, YOUNG, YOUNG, YOUNG, OLD)

    assert delete_in_ranges(old_tokens(), stop_at=Q(expires_at__gte=timezone.now())) == 3

    assert remaining() == pks[3:]
    assert delete_in_ranges(old_tokens()) == 1


@pytest.mark.django_db(transaction=True)
def test_locked_rows_are_left_for_the_next_run():
    pks = tokens(OLD, OLD)
    other = connection.copy()

    try:
        with other.cursor() as cursor:
            other.set_autocommit(False)
            cursor.execute("SELECT FROM token_blacklist_outstandingtoken WHERE id = %s FOR UPDATE", [pks[0]])
            assert delete_expired_tokens() == 1
            assert remaining() == pks[:1]
    finally:
        other.close()

    assert delete_expired_tokens() == 1


def test_nightly_tasks_are_not_redelivered(settings):
    current_app.loader.import_default_modules()
    nightly = [
        current_app.tasks[entry["task"]]
        for entry in settings.CELERY_BEAT_SCHEDULE.values()
        if isinstance(entry["schedule"], crontab)
    ]

    assert len(nightly) >= 6
    assert [task.name for task in nightly if task.acks_late or task.reject_on_worker_lost] == []
