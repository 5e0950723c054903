"""`make backup` and `make restore`, with the database and the Valkey of a stack of their own."""

import os
import subprocess
import sys

import psycopg
import pytest
import redis

from compose.embedded.data_dir import DataDir, claim
from compose.embedded.options import ROOT, Options
from compose.embedded.servers import reachable_servers, running_servers, temporary_folder
from compose.tests.databases import content, execute

COMMANDS = ROOT / "compose" / "production" / "postgres" / "maintenance"
DESTROYED = "DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE TABLE wrong (id int)"

pytestmark = pytest.mark.xdist_group("local backups")


@pytest.fixture(scope="module")
def data_dir():
    """A folder with a filled database, which does not run."""
    with temporary_folder() as folder:
        for command in (["migrate"], ["generate_fake_data", "--tickets=20", "--seed=1"]):
            ended = stack(folder / "data", "exec", "--", sys.executable, "manage.py", *command, "--verbosity=0")
            assert ended.returncode == 0, ended.stderr
        yield DataDir(folder / "data")
        stack(folder / "data", "reset")


def stack(path, *arguments, **variables):
    environment = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "REDIS_URL"}}
    return subprocess.run(
        [sys.executable, "-m", "compose.embedded", *arguments],
        cwd=ROOT,
        env=environment | {"DJANGO_SETTINGS_MODULE": "config.settings.local", "DATA_DIR": str(path)} | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def options(data_dir):
    return Options({"DATA_DIR": str(data_dir.path)})


def backed_up(data_dir):
    """Make a backup and return its name."""
    before = set(data_dir.backups.glob("*.dump"))
    made = stack(data_dir.path, "exec", "--", str(COMMANDS / "backup"))
    assert made.returncode == 0, made.stderr
    (path,) = set(data_dir.backups.glob("*.dump")) - before
    return path.name


@pytest.fixture
def backup(data_dir):
    return backed_up(data_dir)


@pytest.fixture(autouse=True)
def leave_no_backups(data_dir):
    yield
    for path in data_dir.backups.glob("*"):
        path.unlink()


def test_what_was_backed_up_comes_back_whole_after_everything_is_destroyed(data_dir, backup):
    with reachable_servers(options(data_dir)) as variables:
        before = content(variables["DATABASE_URL"])
        execute(variables["DATABASE_URL"], DESTROYED)
        with redis.Redis.from_url(variables["REDIS_URL"]) as client:
            client.set("a list of what was there", "before")

    restored = stack(data_dir.path, "restore", backup)

    assert restored.returncode == 0, restored.stderr
    with reachable_servers(options(data_dir)) as variables:
        assert content(variables["DATABASE_URL"]) == before
        assert content(f"{variables['DATABASE_URL']}_before_restore").keys() == {"wrong", "sequences"}
        with redis.Redis.from_url(variables["REDIS_URL"]) as client:
            assert client.dbsize() == 0
    assert (len(before["tickets_ticket"]), len(before["tickets_comment"])) == (20, 100)


def test_clients_that_were_told_more_than_the_backup_knows_are_told_to_begin_anew(data_dir):
    epochs = "SELECT epoch FROM notifications_stream"
    with reachable_servers(options(data_dir)) as variables, psycopg.connect(variables["DATABASE_URL"]) as connection:
        connection.execute("INSERT INTO notifications_stream SELECT min(id), gen_random_uuid(), 7 FROM users_user")
        before = connection.execute(epochs).fetchone()

    restored = stack(data_dir.path, "restore", backed_up(data_dir))

    with reachable_servers(options(data_dir)) as variables, psycopg.connect(variables["DATABASE_URL"]) as connection:
        after = connection.execute(epochs).fetchone()
        connection.execute("DELETE FROM notifications_stream")
    assert restored.returncode == 0, restored.stderr
    assert None not in {before, after}
    assert before != after


def test_while_the_stack_runs_a_backup_is_made_and_a_restore_is_refused(data_dir):
    with claim(data_dir.path), running_servers(data_dir, options(data_dir)) as servers:
        name = backed_up(data_dir)
        execute(servers.variables["DATABASE_URL"], "CREATE TABLE younger AS SELECT 1")

        refused = stack(data_dir.path, "restore", name)

        assert execute(servers.variables["DATABASE_URL"], "SELECT FROM younger") == 1
        execute(servers.variables["DATABASE_URL"], "DROP TABLE younger")
    assert (data_dir.backups.stat().st_mode & 0o777, refused.returncode) == (0o700, 1)
    assert "is in use by a running stack" in refused.stderr


def test_a_damaged_backup_is_refused(data_dir, backup):
    (data_dir.backups / backup).write_bytes(b"damaged")

    refused = stack(data_dir.path, "restore", backup)

    assert refused.returncode == 1
    assert f"helpdesk: {backup} is damaged; nothing was changed." in refused.stderr


def test_a_reset_keeps_the_backups_for_the_stack_that_begins_anew(data_dir, backup):
    stack(data_dir.path, "reset")
    assert [path.name for path in data_dir.path.iterdir()] == ["backups"]

    restored = stack(data_dir.path, "restore", backup)

    assert restored.returncode == 0, restored.stderr
    with reachable_servers(options(data_dir)) as variables:
        assert execute(variables["DATABASE_URL"], "SELECT FROM tickets_ticket") == 20


def test_another_redis_is_left_to_its_owner(data_dir, backup):
    restored = stack(data_dir.path, "restore", backup, REDIS_URL="redis://redis.invalid:6379/0")

    assert restored.returncode == 0, restored.stderr
    assert "Empty the Redis that REDIS_URL names" in restored.stdout
