import os
import signal
import subprocess
import sys

import psutil
import pytest

from compose.embedded.options import ROOT

STACK = [sys.executable, "-m", "compose.embedded"]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*STACK, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_run_passes_on_the_exit_code_and_gives_the_command_its_own_servers():
    script = 'echo "$DATABASE_URL $REDIS_URL $CELERY_BROKER_URL"; exit 7'

    ended = run("run", "--", "sh", "-c", script)

    urls = ended.stdout.split()
    assert ended.returncode == 7
    assert [url.partition(":")[0] for url in urls] == ["postgres", "redis", "redis"]
    assert os.environ["DATABASE_URL"] not in urls


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_neither_processes_nor_files(number, tmp_path):
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [*STACK, "run", "--", "sh", "-c", "echo started; exec sleep 60"]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        code = process.wait(30)

    assert code == 128 + number
    assert psutil.wait_procs(children, timeout=5)[1] == []
    assert list(tmp_path.iterdir()) == []


def test_a_killed_run_leaves_neither_processes_nor_files(tmp_path):
    command = [*STACK, "run", "--", "sh", "-c", "echo started; exec sleep 60"]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    ) as process:
        process.stdout.readline()
        children = psutil.Process(process.pid).children(recursive=True)
        process.kill()

    assert psutil.wait_procs(children, timeout=5)[1] == []
    assert list(tmp_path.iterdir()) == []


SIGNALLED_AT_ITS_START = """
import os, signal, subprocess, sys
from compose.embedded import commands as command

start = subprocess.Popen

def start_and_be_signalled(*arguments, **options):
    process = start(*arguments, **options)
    print(process.pid, flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
    return process

subprocess.Popen = start_and_be_signalled
sys.exit(command.run_command(["sleep", "60"], {}))
"""


def test_a_command_is_not_left_behind_by_a_signal_that_comes_while_it_starts():
    ended = subprocess.run(
        [sys.executable, "-c", SIGNALLED_AT_ITS_START],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert ended.returncode == 128 + signal.SIGTERM
    assert not psutil.pid_exists(int(ended.stdout))


def test_exec_keeps_the_data_between_two_commands(folder):
    data_dir = {"DATA_DIR": str(folder / "data"), "DATABASE_URL": "", "REDIS_URL": ""}
    sql = "import os, psycopg; print(psycopg.connect(os.environ['DATABASE_URL'], autocommit=True).execute({!r}).rowcount)"

    made = run("exec", "--", sys.executable, "-c", sql.format("CREATE TABLE kept AS SELECT 1"), **data_dir)
    seen = run("exec", "--", sys.executable, "-c", sql.format("SELECT FROM kept"), **data_dir)

    assert (made.returncode, seen.returncode) == (0, 0), made.stderr + seen.stderr
    assert seen.stdout.endswith("1\n")


def test_a_user_error_is_one_line_without_a_trace():
    ended = run("up", PORT="eight")

    assert ended.returncode == 1
    assert ended.stderr == "helpdesk: PORT is 'eight': it must be a whole number.\n"


def test_an_unknown_command_shows_the_usage():
    ended = run("down")

    assert ended.returncode == 2
    assert "run -- COMMAND" in ended.stderr
