"""Nothing leaves before the commit, and what fails after it fails nobody's request."""

import pytest
from django.db import transaction

from helpdesk.core.after_commit import after_commit


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
