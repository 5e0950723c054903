import json
import signal
import subprocess
import sys
import time

import psutil
import pytest

from compose.embedded.options import ROOT
from compose.embedded.processes import lives

SUPERVISE = """
import json, os, sys
from compose.embedded.guard import Guard
from compose.embedded import supervisor
supervisor.KILL_SECONDS = 1
with Guard() as guard:
    reason = supervisor.supervise(json.loads(sys.argv[1]), environment=os.environ, guard=guard, on_start=lambda: None)
print(f"reason: {reason}", flush=True)
"""
SLEEPS = ["sleep", "60"]
IGNORES_SIGTERM = ["sh", "-c", "trap '' TERM; sleep 60 & wait; wait"]
HAS_GRANDCHILD = ["sh", "-c", "sleep 60 & wait"]


def supervise(**commands: list[str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SUPERVISE, json.dumps(commands)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def started(process: subprocess.Popen[str], count: int) -> list[psutil.Process]:
    """Wait for the processes to be there, and return all that descend from the supervisor."""
    assert process.stdout is not None
    while count:
        count -= " started (pid=" in process.stdout.readline()
    time.sleep(0.3)
    return psutil.Process(process.pid).children(recursive=True)


@pytest.mark.parametrize(
    ("command", "reason"),
    [(["sh", "-c", "sleep 0.5; exit 3"], "exit code 3"), (["sh", "-c", "sleep 0.5; kill -9 $$"], "killed by SIGKILL")],
)
def test_the_end_of_one_is_the_end_of_all_and_has_its_name(command, reason):
    with supervise(short=command, long=SLEEPS) as process:
        output = process.communicate(timeout=30)[0]

    assert output.endswith(f"reason: short ended ({reason})\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_of_it(number):
    with supervise(one=HAS_GRANDCHILD, two=SLEEPS) as process:
        descendants = started(process, 2)
        process.send_signal(number)
        output = process.communicate(timeout=30)[0]

    assert output.endswith("reason: None\n")
    assert not any(map(lives, descendants))


def test_what_does_not_stop_is_killed_with_its_children():
    with supervise(stubborn=IGNORES_SIGTERM, other=SLEEPS) as process:
        descendants = started(process, 2)
        process.terminate()
        process.communicate(timeout=30)

    assert not any(map(lives, descendants))


def test_the_children_of_one_that_was_killed_do_not_survive_it():
    with supervise(parent=HAS_GRANDCHILD, other=SLEEPS) as process:
        descendants = started(process, 2)
        next(p for p in descendants if p.name() == "sh").kill()
        output = process.communicate(timeout=30)[0]

    assert output.endswith("reason: parent ended (killed by SIGKILL)\n")
    assert not any(map(lives, descendants))
