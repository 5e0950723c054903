"""What the websocket processes report to each other, and what the health checks make of it."""

import pytest
from django.utils import timezone

from helpdesk.core import redis
from helpdesk.monitoring import health
from helpdesk.notifications.live import hub

pytestmark = pytest.mark.django_db


def check(name):
    return health.run_checks()["checks"][name]


@pytest.fixture
def expired_report(monkeypatch):
    """Store the report of a process that was silent for too long."""
    with monkeypatch.context() as then:
        then.setattr(hub.time, "time", lambda: timezone.now().timestamp() - 16)
        hub.store_report("expired", 100, silence_seconds=0.1)


def test_open_websockets_are_summed_until_their_process_is_silent_for_long(expired_report):
    hub.store_report("one", 7, silence_seconds=0.1)
    hub.store_report("one", 3, silence_seconds=0.1)
    hub.store_report("another", 4, silence_seconds=0.1)

    assert check("open_websockets") == {"value": 7, "at_most": None, "healthy": True}
    with redis.connection() as client:
        assert set(client.hkeys(hub.reports_key())) == {b"one", b"another"}


def test_a_report_that_is_renewed_while_it_is_read_is_kept(expired_report, monkeypatch):
    parse_report = hub.parse_report

    def renew(text):
        hub.store_report("expired", 5, silence_seconds=0.1)
        return parse_report(text)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(hub, "parse_report", renew)
        assert check("open_websockets")["value"] == 0

    assert check("open_websockets")["value"] == 5


@pytest.mark.parametrize(("seconds", "is_healthy"), [(29.9, True), (31.0, False)])
def test_the_longest_silence_of_all_hubs_is_shown(seconds, is_healthy):
    hub.store_report("one", 3, silence_seconds=0.4)
    hub.store_report("another", 0, silence_seconds=seconds)

    assert check("hub_silence_seconds") == {"value": seconds, "at_most": 30, "healthy": is_healthy}
