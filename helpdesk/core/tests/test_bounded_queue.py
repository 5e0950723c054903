"""Best-effort work: in order, in batches, and bounded."""

import threading

import pytest

from helpdesk.core import after_commit
from helpdesk.core.after_commit import BoundedQueue

TIMEOUT = 10


class Work:
    """Records its batches; waits in each until `may_end` is set."""

    def __init__(self):
        self.has_begun, self.may_end, self.is_done = threading.Event(), threading.Event(), threading.Event()
        self.batches = []

    def __call__(self, items):
        self.has_begun.set()
        assert self.may_end.wait(TIMEOUT)
        self.batches.append(items)
        if "last" in items:
            self.is_done.set()


def batches_of(*items):
    """Return the batches when all items but the first are added during the work on the first."""
    work = Work()
    queue = BoundedQueue(work, name="test")
    queue.put(items[0])
    assert work.has_begun.wait(TIMEOUT)
    for item in items[1:]:
        queue.put(item)
    work.may_end.set()
    assert work.is_done.wait(TIMEOUT)
    return work.batches


def test_items_that_wait_are_processed_together_and_in_order():
    assert batches_of(1, 2, 3, "last") == [[1], [2, 3, "last"]]


def test_a_full_queue_drops_its_oldest_item(monkeypatch):
    monkeypatch.setattr(after_commit, "MAX_QUEUE_SIZE", 3)

    assert batches_of(1, 2, 3, 4, "last") == [[1], [3, 4, "last"]]


def test_batches_are_bounded(monkeypatch):
    monkeypatch.setattr(after_commit, "MAX_BATCH_SIZE", 2)

    assert batches_of(1, 2, 3, "last") == [[1], [2, 3], ["last"]]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_failure_loses_its_batch_and_nothing_else():
    done = threading.Event()

    def work(items):
        if "poison" in items:
            raise SystemExit
        done.set()

    queue = BoundedQueue(work, name="test")
    queue.put("poison")
    queue.thread.join(TIMEOUT)
    queue.put("last")

    assert done.wait(TIMEOUT)
    assert queue.flush()


def test_a_process_that_ends_flushes_its_queues_within_a_time_limit(monkeypatch):
    work = Work()
    queue = BoundedQueue(work, name="test")
    queue.put(1)
    queue.put("last")

    monkeypatch.setattr(after_commit, "FLUSH_TIMEOUT_SECONDS", 0.05)
    assert not queue.flush()
    monkeypatch.undo()
    work.may_end.set()
    after_commit.flush_all()

    assert work.is_done.is_set()
