"""A deadline leaves the signals as it has found them: the tests' own time limit is one."""

import signal
from datetime import timedelta

import pytest

from helpdesk.emails.deadline import deadline


def test_what_takes_longer_is_cut_off():
    with pytest.raises(TimeoutError), deadline(timedelta(milliseconds=20)):
        signal.pause()


def test_afterwards_the_alarm_of_somebody_else_is_set_again():
    handler = signal.getsignal(signal.SIGALRM)

    with deadline(timedelta(hours=1)):
        with deadline(timedelta(hours=2)):
            pass
        assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] <= 3600

    assert signal.getsignal(signal.SIGALRM) is handler
