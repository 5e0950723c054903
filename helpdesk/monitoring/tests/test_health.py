"""Health checks, over HTTP for agents and monitoring systems, and by `manage.py health` on the machine."""

import json
import os
import subprocess
import sys
import time
from datetime import timedelta
from io import StringIO

import psycopg
import pytest
from django.conf import settings as django_settings
from django.core.management import call_command
from django.db import OperationalError, connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from helpdesk.core.redis import RedisError
from helpdesk.emails.models import EmailState
from helpdesk.emails.tasks import send_due_emails
from helpdesk.emails.tests.factories import EmailFactory, StatusEventFactory
from helpdesk.monitoring import health
from helpdesk.testing import UNREACHABLE_REDIS_URL
from helpdesk.tickets.announcer import LEADER_LOCK

HEALTH = "/api/health/"
TOKEN = "a-token-of-our-monitoring-system"
CHECKS_OF_REDIS = {"open_websockets", "hub_silence_seconds", "email_sweep_age_seconds"}


@pytest.fixture
def leader(transactional_db):
    """Hold the announcer's lock, on a connection of its own."""
    with psycopg.connect(**connection.get_connection_params()) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [LEADER_LOCK])
        yield


@pytest.fixture
def postgresql_down(monkeypatch):
    """Return how often it was asked, as a list."""
    times = []

    def refuse():
        times.append(timezone.now())
        raise OperationalError

    monkeypatch.setattr(connection, "cursor", refuse)
    return times


@pytest.fixture
def monitor(client, settings):
    """Return a function that asks as a monitoring system does."""
    settings.HEALTH_TOKEN = TOKEN
    return lambda token=TOKEN: client.get(HEALTH, headers={"Authorization": f"Bearer {token}"})


def check(name):
    return health.run_checks()["checks"][name]


def ago(seconds):
    return timezone.now() - timedelta(seconds=seconds)


def run_command(**options):
    """Return the exit code and what was printed."""
    stdout = StringIO()
    try:
        call_command("health", **options, stdout=stdout)
    except SystemExit as ended:
        return ended.code, stdout.getvalue()
    return 0, stdout.getvalue()


def test_the_helpdesk_is_healthy_with_a_leading_announcer_and_a_recent_sweep(leader):
    send_due_emails()

    report = health.run_checks()

    assert report["status"] == "healthy"
    assert report["checks"].pop("email_sweep_age_seconds")["value"] < 30
    assert report["checks"].pop("hub_silence_seconds")["value"] < 30
    assert {name: result["value"] for name, result in report["checks"].items()} == {
        "postgresql_available": True,
        "redis_available": True,
        "oldest_unannounced_event_seconds": 0,
        "announcer_has_leader": True,
        "open_websockets": 0,
        "oldest_due_email_seconds": 0,
        "dead_emails": 0,
        "bounced_emails": 0,
    }


@pytest.mark.django_db
def test_without_announcer_and_sweep_it_is_degraded():
    report = health.run_checks()

    assert report["status"] == "degraded"
    assert {name for name, result in report["checks"].items() if not result["healthy"]} == {
        "announcer_has_leader",
        "email_sweep_age_seconds",
    }


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("lock", [str(LEADER_LOCK + 1), str(LEADER_LOCK + 2**32), f"0, {LEADER_LOCK}"])
def test_another_advisory_lock_makes_no_leader(lock):
    with psycopg.connect(**connection.get_connection_params()) as other:
        other.execute(f"SELECT pg_advisory_lock({lock})")

        assert not check("announcer_has_leader")["value"]


@pytest.mark.django_db
@pytest.mark.parametrize(("seconds", "is_healthy"), [(25, True), (40, False)])
def test_the_age_of_the_oldest_unannounced_event_is_checked(seconds, is_healthy):
    StatusEventFactory(created_at=ago(900), announced_at=timezone.now())
    StatusEventFactory(created_at=ago(seconds))
    StatusEventFactory()

    oldest = check("oldest_unannounced_event_seconds")

    assert seconds <= oldest["value"] < seconds + 5
    assert (oldest["healthy"], oldest["at_most"]) == (is_healthy, 30)


@pytest.mark.django_db
@pytest.mark.parametrize("lease", [None, Now() + timedelta(seconds=60), Now() - timedelta(seconds=60)])
@pytest.mark.parametrize(("seconds", "is_healthy"), [(100, True), (130, False)])
def test_the_age_of_the_oldest_due_email_is_checked_whether_or_not_it_is_claimed(seconds, is_healthy, lease):
    EmailFactory(next_attempt_at=ago(900), state=EmailState.DEAD)
    EmailFactory(next_attempt_at=ago(-900))
    EmailFactory(next_attempt_at=ago(seconds), lease_until=lease)

    oldest = check("oldest_due_email_seconds")

    assert seconds <= oldest["value"] < seconds + 5
    assert (oldest["healthy"], oldest["at_most"]) == (is_healthy, 120)


@pytest.mark.django_db
def test_dead_emails_are_unhealthy_and_bounced_emails_are_only_counted(monkeypatch):
    monkeypatch.setattr("helpdesk.emails.health_checks.MAX_COUNT", 2)
    EmailFactory(state=EmailState.DEAD)
    for _ in range(3):
        EmailFactory(state=EmailState.BOUNCED)

    assert check("dead_emails") == {"value": 1, "at_most": 0, "healthy": False}
    assert check("bounced_emails") == {"value": 2, "at_most": None, "healthy": True}


@pytest.mark.django_db
def test_an_old_sweep_is_unhealthy(monkeypatch):
    with monkeypatch.context() as then:
        then.setattr("helpdesk.emails.heartbeat.time.time", lambda: timezone.now().timestamp() - 70)
        send_due_emails()

    assert 70 <= check("email_sweep_age_seconds")["value"] < 75
    assert not check("email_sweep_age_seconds")["healthy"]


@pytest.mark.django_db
def test_a_sweep_does_its_work_without_redis(redis_down):
    assert send_due_emails() == 0


@pytest.mark.django_db
def test_checks_of_redis_are_null_without_it(redis_down):
    report = health.run_checks()

    unknown = {name: result["healthy"] for name, result in report["checks"].items() if result["value"] is None}
    assert unknown == dict.fromkeys(CHECKS_OF_REDIS, False)
    assert (report["status"], report["checks"]["redis_available"]["value"]) == ("degraded", False)


@pytest.mark.django_db
def test_a_failing_check_affects_no_other(monkeypatch):
    def fail():
        raise RedisError

    broken = health.HealthCheck(fail, health.Service.REDIS, at_most=None)
    monkeypatch.setitem(health.registry, "open_websockets", broken)

    assert check("open_websockets") == {"value": None, "at_most": None, "healthy": False}
    assert check("dead_emails")["value"] == 0


def test_without_postgresql_the_helpdesk_is_unavailable_after_one_query(postgresql_down):
    report = health.run_checks()

    assert report["status"] == "unavailable"
    assert report["checks"].pop("hub_silence_seconds")["healthy"]
    known = {name: result["value"] for name, result in report["checks"].items() if result["value"] is not None}
    assert known == {"postgresql_available": False, "redis_available": True, "open_websockets": 0}
    assert len(postgresql_down) == 1


@pytest.mark.django_db
def test_each_check_runs_one_query():
    with CaptureQueriesContext(connection) as queries:
        health.run_checks()

    of_postgresql = [check for check in health.registry.values() if check.service == health.Service.POSTGRESQL]
    assert len(queries) == 1 + len(of_postgresql)


@pytest.mark.django_db
def test_the_api_responds_with_the_report(monitor):
    response = monitor()

    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    assert response.json()["status"] == "degraded"
    assert response.json()["checks"]["dead_emails"] == {"value": 0, "at_most": 0, "healthy": True}


def test_the_health_token_works_while_postgresql_is_down(monitor, postgresql_down):
    response = monitor()

    assert response.status_code == 503
    assert response.headers["Content-Type"] == "application/json"
    assert int(response.headers["Retry-After"]) > 0
    assert response.json()["status"] == "unavailable"


def test_the_command_reports_a_healthy_helpdesk(leader):
    send_due_emails()

    code, text = run_command()

    assert code == 0
    assert text.endswith("\n\nThe helpdesk is healthy.\n")
    assert "dead_emails                               0  at most 0     healthy\n" in text
    assert "announcer_has_leader                    yes                healthy\n" in text


@pytest.mark.django_db
def test_the_command_reports_unhealthy_checks_and_exits_with_1():
    code, text = run_command()

    assert code == 1
    assert text.endswith("\n\nThe helpdesk is degraded.\n")
    assert "announcer_has_leader                     no                UNHEALTHY\n" in text
    assert "email_sweep_age_seconds             unknown  at most 60    UNHEALTHY\n" in text


@pytest.mark.django_db
def test_the_command_prints_the_json_of_the_api(monitor):
    code, text = run_command(json=True)

    assert code == 1
    assert json.loads(text) == monitor().json()


def test_the_command_works_without_postgresql_and_redis():
    """In a process of its own, as an operator runs it."""
    nowhere = {"DATABASE_URL": "postgres://nobody:x@127.0.0.1:1/nothing", "REDIS_URL": UNREACHABLE_REDIS_URL}
    ended = subprocess.run(
        [sys.executable, "manage.py", "health"],
        cwd=django_settings.BASE_DIR,
        env={**os.environ, **nowhere, "DJANGO_SETTINGS_MODULE": "config.settings.local"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert "Redis unavailable" in ended.stderr
    assert "postgresql_available                     no                UNHEALTHY\n" in ended.stdout
    assert ended.stdout.endswith("\n\nThe helpdesk is unavailable.\n")


@pytest.fixture
def backup_status(tmp_path, settings):
    settings.BACKUP_STATUS_FILE = str(tmp_path / "newest")
    return tmp_path / "newest"


@pytest.mark.django_db
@pytest.mark.parametrize(("hours", "is_healthy"), [(0, True), (25, True), (27, False)])
def test_the_age_of_the_newest_backup_is_checked(backup_status, hours, is_healthy):
    backup_status.touch()
    made_at = time.time() - hours * 3600
    os.utime(backup_status, (made_at, made_at))

    age = check("newest_backup_age_seconds")

    assert hours * 3600 <= age.pop("value") < hours * 3600 + 60
    assert age == {"at_most": 26 * 3600, "healthy": is_healthy}


@pytest.mark.django_db
def test_a_missing_backup_is_unhealthy(backup_status):
    assert check("newest_backup_age_seconds") == {"value": None, "at_most": 26 * 3600, "healthy": False}


@pytest.mark.django_db
def test_the_backup_check_is_off_without_a_status_file():
    assert "newest_backup_age_seconds" not in health.run_checks()["checks"]
