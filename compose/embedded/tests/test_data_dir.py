import os
import subprocess
import sys

import psutil
import pytest

from compose.embedded.data_dir import claim, is_claimed, reset
from compose.embedded.errors import Refusal
from compose.embedded.options import ROOT
from compose.embedded.processes import lives


def test_two_stacks_cannot_share_a_folder(folder):
    with claim(folder / "data"):
        assert is_claimed(folder / "data")
        with pytest.raises(Refusal, match=r"in use by a running stack .* or set DATA_DIR"), claim(folder / "data"):
            pass

    assert not is_claimed(folder / "data")


KILLED_STACK = """
import os, signal, subprocess, sys, time
from pathlib import Path
from compose.embedded.data_dir import claim
with claim(Path(sys.argv[1])):
    if os.fork() == 0:
        # As the supervisor's helpers, it inherits the lock; and it has a child of its own.
        print(os.getpid(), subprocess.Popen(["sleep", "60"]).pid, flush=True)
        time.sleep(60)
    time.sleep(60)
"""


def test_what_a_killed_stack_has_left_running_is_ended(folder):
    command = [sys.executable, "-c", KILLED_STACK, str(folder / "data")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as stack:
        leftovers = [psutil.Process(int(pid)) for pid in stack.stdout.readline().split()]
        stack.kill()
        stack.wait()
        assert is_claimed(folder / "data")

        with claim(folder / "data") as data_dir:
            assert data_dir.lock.read_text() == f"{os.getpid()}\n"

    assert [process for process in leftovers if lives(process)] == []


WAITING_STACK = "import sys, time; lock = open(sys.argv[1]); print(flush=True); time.sleep(60)  # compose.embedded"
ADOPTED_READER = 'exec 3<"$0"; sleep 60 >/dev/null & echo $!'


def test_who_waits_for_the_folder_or_reads_its_lock_is_not_ended(folder):
    lock = folder / "data" / "helpdesk.lock"
    killed = [sys.executable, "-c", KILLED_STACK, str(folder / "data")]
    with subprocess.Popen(killed, cwd=ROOT, stdout=subprocess.PIPE, text=True) as stack:
        stack.stdout.readline()
        stack.kill()
    reader = psutil.Process(int(subprocess.check_output(["sh", "-c", ADOPTED_READER, lock])))
    with subprocess.Popen([sys.executable, "-c", WAITING_STACK, lock], stdout=subprocess.PIPE) as waiting:
        waiting.stdout.readline()

        with claim(folder / "data"):
            assert waiting.poll() is None
            assert lives(reader)

        waiting.kill()
    reader.kill()


def test_the_secret_key_stays_and_only_its_owner_may_read_it(folder):
    with claim(folder / "data") as data_dir:
        first = data_dir.secret_key
    with claim(folder / "data") as data_dir:
        second = data_dir.secret_key

    assert first == second
    assert len(first) >= 50
    assert (folder / "data" / "secret-key").stat().st_mode & 0o777 == 0o600


def test_reset_empties_the_folder(folder):
    with claim(folder / "data") as data_dir:
        (data_dir.mail / "1.eml").touch()

    assert reset(folder / "data")

    assert list((folder / "data").iterdir()) == []
    assert not reset(folder / "data")


def test_reset_is_refused_while_a_stack_runs(folder):
    with claim(folder / "data") as data_dir:
        with pytest.raises(Refusal, match="in use by a running stack"):
            reset(folder / "data")

        assert data_dir.mail.exists()


def test_a_folder_with_other_files_is_left_alone(folder):
    (folder / "thesis.txt").touch()

    with pytest.raises(Refusal, match="holds other files: set DATA_DIR"), claim(folder):
        pass
    assert not reset(folder)

    assert [path.name for path in folder.iterdir()] == ["thesis.txt"]
