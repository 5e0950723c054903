import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from compose.embedded.options import ROOT
from compose.embedded.processes import lives

PARENT = """
import subprocess, sys, time
from pathlib import Path
from compose.embedded.guard import Guard
with Guard() as guard:
    child = subprocess.Popen(["sh", "-c", "sleep 60 & echo $!; wait"], stdout=subprocess.PIPE, start_new_session=True)
    guard.will_end(child.pid)
    guard.will_remove(Path(sys.argv[1]))
    print(child.pid, child.stdout.readline().decode(), flush=True, end="")
    sys.stdin.read()
"""


@pytest.fixture
def parent(tmp_path):
    command = [sys.executable, "-c", PARENT, str(tmp_path / "temporary")]
    (tmp_path / "temporary").mkdir()
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process


def guarded(parent: subprocess.Popen[str]) -> list[psutil.Process]:
    assert parent.stdout is not None
    return [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]


def are_gone_within(seconds: float, processes: list[psutil.Process], folder: Path) -> bool:
    deadline = time.monotonic() + seconds
    while any(map(lives, processes)) or folder.exists():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_what_a_killed_parent_leaves_is_ended_and_removed(parent, tmp_path):
    processes = guarded(parent)

    parent.kill()

    assert are_gone_within(30, processes, tmp_path / "temporary")


def test_a_parent_that_ends_in_good_order_is_left_to_clean_up_itself(parent, tmp_path):
    processes = guarded(parent)

    parent.stdin.close()
    parent.wait()
    time.sleep(1)

    assert all(map(lives, processes))
    assert (tmp_path / "temporary").exists()
    for process in processes:
        process.kill()
