import os
import signal

import psutil
import psycopg
import pytest

from compose.embedded import postgres
from compose.embedded.errors import UserError
from compose.embedded.postgres import remove, running_postgres
from compose.embedded.processes import Server

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="root alone runs PostgreSQL as another account")


def execute(server: Server, statement: str):
    with psycopg.connect(server.url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def kill_at_once(server: Server) -> None:
    server.process.send_signal(signal.SIGKILL)
    server.process.wait()


def test_a_throwaway_server_ends_with_its_context(folder):
    with running_postgres(folder / "postgres", throwaway=True) as server:
        version = execute(server, "SHOW server_version_num")

    assert version[0][0].startswith("18")
    assert not psutil.pid_exists(server.process.pid)


def test_data_and_port_survive_a_restart(folder):
    with running_postgres(folder / "postgres") as first:
        execute(first, "CREATE TABLE kept AS SELECT 'árbol' AS word")

    with running_postgres(folder / "postgres") as second:
        words = execute(second, "SELECT upper(word) FROM kept")

    assert words == [("ÁRBOL",)]
    assert second.url == first.url


def test_a_killed_server_starts_again(folder):
    with running_postgres(folder / "postgres") as killed:
        kill_at_once(killed)

    with running_postgres(folder / "postgres") as server:
        assert execute(server, "SELECT 1") == [(1,)]


def test_a_pid_file_that_names_somebody_else_does_not_prevent_the_start(folder):
    with running_postgres(folder / "postgres") as killed:
        pid_file = folder / "postgres" / "cluster" / "postmaster.pid"
        lines = pid_file.read_text().splitlines()
        kill_at_once(killed)
    pid_file.write_text("\n".join([str(os.getppid()), *lines[1:]]) + "\n")

    with running_postgres(folder / "postgres") as server:
        assert execute(server, "SELECT 1") == [(1,)]


def test_it_listens_on_the_loopback_interface_and_asks_for_the_password(folder):
    with running_postgres(folder / "postgres", throwaway=True) as server:
        addresses = {c.laddr.ip for c in psutil.Process(server.process.pid).net_connections() if c.status == "LISTEN"}
        wrong = server.url.replace("helpdesk:", "helpdesk:not-", 1)
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(wrong)

    assert addresses == {"127.0.0.1"}


@as_root
def test_root_runs_it_as_somebody_who_cannot_read_the_password(folder):
    with running_postgres(folder / "postgres") as server:
        account = psutil.Process(server.process.pid).username()
        password = (folder / "postgres" / "password").stat()

    assert account == postgres.ACCOUNT_FOR_ROOT
    assert (password.st_uid, password.st_mode & 0o777) == (0, 0o600)


@as_root
def test_below_a_closed_folder_the_home_is_elsewhere_and_the_folder_stays_closed(folder, monkeypatch):
    monkeypatch.setattr(postgres, "PLACE_FOR_ROOT", folder / "elsewhere")
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    home = closed / "postgres"

    with running_postgres(home) as server:
        assert execute(server, "SELECT 1") == [(1,)]
        place = home.readlink()
    remove(home)

    assert place.is_relative_to(folder / "elsewhere")
    assert not place.exists()
    assert list(closed.iterdir()) == []
    assert closed.stat().st_mode & 0o777 == 0o700


def test_a_data_folder_of_another_version_is_refused(folder):
    with running_postgres(folder / "postgres"):
        pass
    (folder / "postgres" / "cluster" / "PG_VERSION").write_text("12\n")

    with (
        pytest.raises(UserError, match=r"`make reset`.*initialized by PostgreSQL version 12"),
        running_postgres(folder / "postgres"),
    ):
        pass
