"""Side effects run after the commit, and their failures do not fail the request."""

import pytest
from django.db import transaction

from helpdesk.core.after_commit import after_commit
from helpdesk.core.redis import RedisError


@pytest.mark.django_db(transaction=True)
def test_it_waits_for_the_commit():
    calls = []

    with transaction.atomic():
        after_commit(calls.append, "done")
        assert calls == []

    assert calls == ["done"]


@pytest.mark.django_db(transaction=True)
def test_a_rollback_forgets_it():
    calls = []

    with transaction.atomic():
        after_commit(calls.append, "done")
        transaction.set_rollback(True)

    assert calls == []


@pytest.mark.django_db(transaction=True)
def test_a_failure_is_logged_and_the_next_one_still_runs(caplog):
    calls = []

    def fail(reason):
        raise ConnectionError(reason)

    with transaction.atomic():
        after_commit(fail, "the broker is dead")
        after_commit(calls.append, "done")

    assert calls == ["done"]
    assert "the broker is dead" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_a_failure_of_redis_is_one_line(caplog):
    def invalidate():
        raise RedisError("Timeout reading from socket")

    with transaction.atomic():
        after_commit(invalidate)

    (record,) = caplog.records
    assert (record.levelname, record.exc_info) == ("WARNING", None)
    assert record.getMessage().endswith("invalidate after the commit: Timeout reading from socket")


@pytest.mark.django_db(transaction=True)
def test_any_other_failure_has_its_trace(caplog):
    with transaction.atomic():
        after_commit(int, "one")

    (record,) = caplog.records
    assert (record.levelname, record.exc_info[0]) == ("ERROR", ValueError)
