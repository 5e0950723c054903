"""The vital signs, for agents and monitoring systems by HTTP, for whoever is at the machine by `manage.py doctor`."""

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

from helpdesk.core import redis, vital_signs
from helpdesk.core.redis import RedisError
from helpdesk.emails.models import EmailState
from helpdesk.emails.tasks import send_due_emails
from helpdesk.emails.tests.factories import EmailFactory, StatusEventFactory
from helpdesk.notifications.live import open_sockets
from helpdesk.testing import UNREACHABLE_REDIS_URL
from helpdesk.tickets.announcer import LEADER_LOCK

HEALTH = "/api/health/"
TOKEN = "a-token-of-our-monitoring-system"
KNOWN_TO_REDIS = {"open_websockets", "hub_silence_seconds", "email_sweep_age_seconds"}


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


def sign(name):
    return vital_signs.examine()["signs"][name]


def ago(seconds):
    return timezone.now() - timedelta(seconds=seconds)


def doctor(**options):
    """Return the exit code and what was printed."""
    stdout = StringIO()
    try:
        call_command("doctor", **options, stdout=stdout)
    except SystemExit as ended:
        return ended.code, stdout.getvalue()
    return 0, stdout.getvalue()


def test_all_is_well_when_an_announcer_leads_and_a_sweep_has_run(leader):
    send_due_emails()

    report = vital_signs.examine()

    assert report["status"] == "ok"
    assert report["signs"].pop("email_sweep_age_seconds")["value"] < 30
    assert report["signs"].pop("hub_silence_seconds")["value"] < 30
    assert {name: reading["value"] for name, reading in report["signs"].items()} == {
        "postgresql_answers": True,
        "redis_answers": True,
        "oldest_unannounced_event_seconds": 0,
        "announcer_leads": True,
        "open_websockets": 0,
        "oldest_due_email_seconds": 0,
        "dead_emails": 0,
        "bounced_emails": 0,
    }


@pytest.mark.django_db
def test_without_announcer_and_sweep_it_is_degraded():
    report = vital_signs.examine()

    assert report["status"] == "degraded"
    assert {name for name, reading in report["signs"].items() if not reading["ok"]} == {
        "announcer_leads",
        "email_sweep_age_seconds",
    }


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("lock", [str(LEADER_LOCK + 1), str(LEADER_LOCK + 2**32), f"0, {LEADER_LOCK}"])
def test_whoever_holds_another_lock_does_not_lead(lock):
    with psycopg.connect(**connection.get_connection_params()) as other:
        other.execute(f"SELECT pg_advisory_lock({lock})")

        assert not sign("announcer_leads")["value"]


@pytest.mark.django_db
@pytest.mark.parametrize(("seconds", "is_ok"), [(25, True), (40, False)])
def test_the_oldest_event_that_nobody_announced_has_an_age(seconds, is_ok):
    StatusEventFactory(created_at=ago(900), announced_at=timezone.now())
    StatusEventFactory(created_at=ago(seconds))
    StatusEventFactory()

    oldest = sign("oldest_unannounced_event_seconds")

    assert seconds <= oldest["value"] < seconds + 5
    assert (oldest["ok"], oldest["at_most"]) == (is_ok, 30)


@pytest.mark.django_db
@pytest.mark.parametrize("lease", [None, Now() + timedelta(seconds=60), Now() - timedelta(seconds=60)])
@pytest.mark.parametrize(("seconds", "is_ok"), [(100, True), (130, False)])
def test_the_oldest_due_email_has_an_age_whether_or_not_a_worker_has_claimed_it(seconds, is_ok, lease):
    EmailFactory(next_attempt_at=ago(900), state=EmailState.DEAD)
    EmailFactory(next_attempt_at=ago(-900))
    EmailFactory(next_attempt_at=ago(seconds), lease_until=lease)

    oldest = sign("oldest_due_email_seconds")

    assert seconds <= oldest["value"] < seconds + 5
    assert (oldest["ok"], oldest["at_most"]) == (is_ok, 120)


@pytest.mark.django_db
def test_dead_emails_are_counted_and_never_ok_bounced_ones_are_only_counted(monkeypatch):
    monkeypatch.setattr("helpdesk.emails.vital_signs.MOST_COUNTED", 2)
    EmailFactory(state=EmailState.DEAD)
    for _ in range(3):
        EmailFactory(state=EmailState.BOUNCED)

    assert sign("dead_emails") == {"value": 1, "at_most": 0, "ok": False}
    assert sign("bounced_emails") == {"value": 2, "at_most": None, "ok": True}


@pytest.mark.django_db
def test_a_sweep_long_ago_is_not_ok(monkeypatch):
    with monkeypatch.context() as then:
        then.setattr("helpdesk.emails.heartbeat.time.time", lambda: timezone.now().timestamp() - 70)
        send_due_emails()

    assert 70 <= sign("email_sweep_age_seconds")["value"] < 75
    assert not sign("email_sweep_age_seconds")["ok"]


@pytest.mark.django_db
def test_a_sweep_does_its_work_without_redis(redis_down):
    assert send_due_emails() == 0


@pytest.mark.django_db
def test_open_sockets_are_summed_until_their_process_is_silent_for_long(monkeypatch):
    with monkeypatch.context() as then:
        then.setattr(open_sockets.time, "time", lambda: timezone.now().timestamp() - 16)
        open_sockets.report("crashed", 100, silence_seconds=0.1)
    open_sockets.report("one", 7, silence_seconds=0.1)
    open_sockets.report("one", 3, silence_seconds=0.1)
    open_sockets.report("another", 4, silence_seconds=0.1)

    assert sign("open_websockets") == {"value": 7, "at_most": None, "ok": True}
    with redis.connection() as client:
        assert set(client.hkeys(open_sockets.key())) == {b"one", b"another"}


@pytest.mark.django_db
def test_a_report_that_is_renewed_while_it_is_read_stays(monkeypatch):
    report_of = open_sockets.report_of
    with monkeypatch.context() as then:
        then.setattr(open_sockets.time, "time", lambda: timezone.now().timestamp() - 16)
        open_sockets.report("late", 5, silence_seconds=0.1)

    def be_renewed(text):
        open_sockets.report("late", 5, silence_seconds=0.1)
        return report_of(text)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(open_sockets, "report_of", be_renewed)
        assert open_sockets.total() == 0

    assert open_sockets.total() == 5


@pytest.mark.django_db
@pytest.mark.parametrize(("seconds", "is_ok"), [(29.9, True), (31.0, False)])
def test_the_hub_that_has_received_nothing_for_longest_is_shown(seconds, is_ok):
    open_sockets.report("one", 3, silence_seconds=0.4)
    open_sockets.report("another", 0, silence_seconds=seconds)

    assert sign("hub_silence_seconds") == {"value": seconds, "at_most": 30, "ok": is_ok}


@pytest.mark.django_db
def test_what_redis_knows_is_null_without_it(redis_down):
    report = vital_signs.examine()

    unknown = {name: reading["ok"] for name, reading in report["signs"].items() if reading["value"] is None}
    assert unknown == dict.fromkeys(KNOWN_TO_REDIS, False)
    assert (report["status"], report["signs"]["redis_answers"]["value"]) == ("degraded", False)


@pytest.mark.django_db
def test_a_sign_that_cannot_be_read_spoils_no_other(monkeypatch):
    def fail():
        raise RedisError

    broken = vital_signs.VitalSign(fail, vital_signs.Service.REDIS, at_most=None)
    monkeypatch.setitem(vital_signs.signs, "open_websockets", broken)

    assert sign("open_websockets") == {"value": None, "at_most": None, "ok": False}
    assert sign("dead_emails")["value"] == 0


def test_without_postgresql_it_is_unavailable_and_asks_only_once(postgresql_down):
    report = vital_signs.examine()

    assert report["status"] == "unavailable"
    assert report["signs"].pop("hub_silence_seconds")["ok"]
    known = {name: reading["value"] for name, reading in report["signs"].items() if reading["value"] is not None}
    assert known == {"postgresql_answers": False, "redis_answers": True, "open_websockets": 0}
    assert len(postgresql_down) == 1


@pytest.mark.django_db
def test_each_sign_costs_one_query():
    with CaptureQueriesContext(connection) as queries:
        vital_signs.examine()

    of_postgresql = [sign for sign in vital_signs.signs.values() if sign.service == vital_signs.Service.POSTGRESQL]
    assert len(queries) == 1 + len(of_postgresql)


@pytest.mark.django_db
@pytest.mark.parametrize(("who", "status"), [("agent", 200), ("superuser", 200), ("customer", 403)])
def test_agents_read_it_and_customers_do_not(api, request, who, status):
    response = api(request.getfixturevalue(who)).get(HEALTH)

    assert response.status_code == status
    assert ("signs" in response.json()) == (status == 200)


@pytest.mark.django_db
def test_a_monitoring_system_reads_it_with_its_token(monitor):
    response = monitor()

    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    assert "no-store" in response.headers["Cache-Control"]
    assert response.json()["status"] == "degraded"
    assert response.json()["signs"]["dead_emails"] == {"value": 0, "at_most": 0, "ok": True}


@pytest.mark.django_db
@pytest.mark.parametrize("token", ["another", "", TOKEN.upper(), f"{TOKEN}x", "tökèn"])
def test_another_token_is_401(monitor, token):
    response = monitor(token)

    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="api"'


@pytest.mark.django_db
def test_without_a_token_it_is_401(api):
    assert api().get(HEALTH).status_code == 401


@pytest.mark.django_db
@pytest.mark.parametrize("token", ["", "None"])
def test_a_token_that_is_not_set_lets_nobody_in(monitor, settings, token):
    settings.HEALTH_TOKEN = ""

    assert monitor(token).status_code == 401


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/api/tickets/", "/api/users/me/", "/api/notifications/"])
def test_the_token_of_monitoring_opens_nothing_else(client, monitor, path):
    assert client.get(path, headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 401


def test_a_monitoring_system_is_told_that_postgresql_is_down(monitor, postgresql_down):
    response = monitor()

    assert response.status_code == 503
    assert response.headers["Content-Type"] == "application/json"
    assert int(response.headers["Retry-After"]) > 0
    assert response.json()["status"] == "unavailable"


def test_the_doctor_is_content(leader):
    send_due_emails()

    code, text = doctor()

    assert code == 0
    assert text.endswith("\n\nThe helpdesk is ok.\n")
    assert "dead_emails                               0  at most 0     ok\n" in text
    assert "announcer_leads                         yes                ok\n" in text


@pytest.mark.django_db
def test_the_doctor_names_what_is_wrong_and_exits_with_1():
    code, text = doctor()

    assert code == 1
    assert text.endswith("\n\nThe helpdesk is degraded.\n")
    assert "announcer_leads                          no                NOT OK\n" in text
    assert "email_sweep_age_seconds           not known  at most 60    NOT OK\n" in text


@pytest.mark.django_db
def test_the_doctor_prints_the_document_of_the_api(monitor):
    code, text = doctor(json=True)

    assert code == 1
    assert json.loads(text) == monitor().json()


def test_the_doctor_works_without_any_server():
    """As whoever is called at night runs it: in a process of its own."""
    nowhere = {"DATABASE_URL": "postgres://nobody:x@127.0.0.1:1/nothing", "REDIS_URL": UNREACHABLE_REDIS_URL}
    ended = subprocess.run(
        [sys.executable, "manage.py", "doctor"],
        cwd=django_settings.BASE_DIR,
        env={**os.environ, **nowhere, "DJANGO_SETTINGS_MODULE": "config.settings.local"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert "Redis fails" in ended.stderr
    assert "postgresql_answers                       no                NOT OK\n" in ended.stdout
    assert ended.stdout.endswith("\n\nThe helpdesk is unavailable.\n")


@pytest.fixture
def backup_status(tmp_path, settings):
    settings.BACKUP_STATUS_FILE = str(tmp_path / "newest")
    return tmp_path / "newest"


@pytest.mark.django_db
@pytest.mark.parametrize(("hours", "is_ok"), [(0, True), (25, True), (27, False)])
def test_the_newest_backup_has_an_age(backup_status, hours, is_ok):
    backup_status.touch()
    made_at = time.time() - hours * 3600
    os.utime(backup_status, (made_at, made_at))

    age = sign("newest_backup_age_seconds")

    assert hours * 3600 <= age.pop("value") < hours * 3600 + 60
    assert age == {"at_most": 26 * 3600, "ok": is_ok}


@pytest.mark.django_db
def test_backups_that_have_never_begun_are_not_ok(backup_status):
    assert sign("newest_backup_age_seconds") == {"value": None, "at_most": 26 * 3600, "ok": False}


@pytest.mark.django_db
def test_without_backups_of_our_own_nobody_asks_for_their_age():
    assert "newest_backup_age_seconds" not in vital_signs.examine()["signs"]
