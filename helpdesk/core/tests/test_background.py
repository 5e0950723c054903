"""Work in the background: nobody waits for it, it keeps the order, and it is bounded."""

import threading

import pytest

from helpdesk.core import background
from helpdesk.core.background import Background

PATIENCE = 10


class Work:
    """Takes what it is given once it may."""

    def __init__(self):
        self.has_begun, self.may_end, self.is_done = threading.Event(), threading.Event(), threading.Event()
        self.rounds = []

    def __call__(self, items):
        self.has_begun.set()
        assert self.may_end.wait(PATIENCE)
        self.rounds.append(items)
        if "last" in items:
            self.is_done.set()


def given(work, *items):
    """Give the first, and the others while the work on it is held up."""
    waiting = Background(work, name="test")
    waiting.give(items[0])
    assert work.has_begun.wait(PATIENCE)
    for item in items[1:]:
        waiting.give(item)
    work.may_end.set()
    assert work.is_done.wait(PATIENCE)
    return work.rounds


def test_what_comes_while_the_work_is_held_up_is_done_together_and_in_order():
    assert given(Work(), 1, 2, 3, "last") == [[1], [2, 3, "last"]]


def test_what_waits_is_bounded_and_the_oldest_is_dropped(monkeypatch):
    monkeypatch.setattr(background, "MOST_WAITING", 3)

    assert given(Work(), 1, 2, 3, 4, "last") == [[1], [3, 4, "last"]]


def test_only_so_much_is_done_at_once(monkeypatch):
    monkeypatch.setattr(background, "MOST_AT_ONCE", 2)

    assert given(Work(), 1, 2, 3, "last") == [[1], [2, 3], ["last"]]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_failure_loses_what_was_being_done_and_nothing_else():
    done = threading.Event()

    def work(items):
        if "poison" in items:
            raise SystemExit
        done.set()

    waiting = Background(work, name="test")
    waiting.give("poison")
    waiting.thread.join(PATIENCE)
    waiting.give("last")

    assert done.wait(PATIENCE)
    assert waiting.finish()


def test_a_process_that_ends_waits_for_what_is_being_done_but_not_for_ever(monkeypatch):
    work = Work()
    waiting = Background(work, name="test")
    waiting.give(1)
    waiting.give("last")

    monkeypatch.setattr(background, "FINISH_SECONDS", 0.05)
    assert not waiting.finish()
    monkeypatch.undo()
    work.may_end.set()
    background.finish()

    assert work.is_done.is_set()
