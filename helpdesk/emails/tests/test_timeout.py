"""The timeout restores the alarm that it interrupts, such as pytest-timeout's."""

import signal
from datetime import timedelta

import pytest

from helpdesk.emails.smtp import timeout


def test_a_block_that_takes_longer_is_interrupted():
    with pytest.raises(TimeoutError), timeout(timedelta(milliseconds=20)):
        signal.pause()


def test_an_earlier_alarm_is_set_again():
    handler = signal.getsignal(signal.SIGALRM)

    with timeout(timedelta(hours=1)):
        with timeout(timedelta(hours=2)):
            pass
        assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] <= 3600

    assert signal.getsignal(signal.SIGALRM) is handler
