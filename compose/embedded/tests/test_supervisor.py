import json
import signal
import subprocess
import sys
import time

import psutil
import pytest

from compose.embedded.options import ROOT

SUPERVISE = """
import json, os, signal, sys
from compose.embedded import supervisor
supervisor.STOP_STEPS = [(signal.SIGTERM, 1)]
print("ended by a signal:", supervisor.supervise(json.loads(sys.argv[1]), os.environ, beside=lambda: None))
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
    ("command", "code"),
    [(["sh", "-c", "sleep 0.5; exit 3"], "rc=3"), (["sh", "-c", "sleep 0.5; kill -9 $$"], "rc=-9")],
)
def test_the_end_of_one_is_the_end_of_all_and_has_its_name(command, code):
    with supervise(short=command, long=SLEEPS) as process:
        output = process.communicate(timeout=30)[0]

    assert f"short stopped ({code})" in output
    assert output.endswith("ended by a signal: False\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_all_of_it(number):
    with supervise(one=HAS_GRANDCHILD, two=SLEEPS) as process:
        descendants = started(process, 2)
        process.send_signal(number)
        output = process.communicate(timeout=30)[0]

    assert output.endswith("ended by a signal: True\n")
    assert psutil.wait_procs(descendants, timeout=5)[1] == []


def test_what_does_not_stop_is_killed_with_its_children():
    with supervise(stubborn=IGNORES_SIGTERM, other=SLEEPS) as process:
        descendants = started(process, 2)
        process.terminate()
        process.communicate(timeout=30)

    assert psutil.wait_procs(descendants, timeout=5)[1] == []


def test_the_children_of_one_that_was_killed_do_not_survive_it():
    with supervise(parent=HAS_GRANDCHILD, other=SLEEPS) as process:
        descendants = started(process, 2)
        next(p for p in descendants if p.name() == "sh").kill()
        output = process.communicate(timeout=30)[0]

    assert output.endswith("ended by a signal: False\n")
    assert psutil.wait_procs(descendants, timeout=5)[1] == []


def test_every_line_carries_the_name_of_its_process():
    with supervise(
        one=["sh", "-c", "echo from one; sleep 1"], longer=["sh", "-c", "echo from longer; sleep 60"]
    ) as process:
        output = process.communicate(timeout=30)[0]

    lines = [line.partition(" ")[2] for line in output.splitlines()]
    assert "one    | from one" in lines
    assert "longer | from longer" in lines


def test_an_output_that_nobody_reads_is_the_end_of_all():
    with supervise(talks=["sh", "-c", "while echo again; do sleep 0.1; done"], other=SLEEPS) as process:
        descendants = started(process, 2)
        process.stdout.close()

    assert psutil.wait_procs(descendants, timeout=5)[1] == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_a_killed_supervisor_leaves_nothing_behind():
    with supervise(one=SLEEPS, two=["sh", "-c", "trap 'kill $!' TERM; sleep 60 & wait"]) as process:
        descendants = started(process, 2)
        process.kill()

    assert psutil.wait_procs(descendants, timeout=5)[1] == []
