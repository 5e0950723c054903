"""One stack for each process of the tests, idle before each of them."""

import os
import random
from functools import partial

import pytest

from faults.history import History
from faults.stack import LocalStack, running_stack
from faults.workload import running_workload

SEED = int(os.environ.get("FAULT_SEED", "1"))
SECONDS = float(os.environ.get("FAULT_SECONDS", "2"))
"""How long a lasting fault lasts."""
ROUNDS = max(2, round(SECONDS / 2))
"""How often a momentary fault is repeated."""
LOG_CHARACTERS = 4_000


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Show the end of every program's output with a failure."""
    report = yield
    if report.failed and "stack" in item.funcargs:
        for log in sorted(item.funcargs["stack"].folder.glob("*.log")):
            report.sections.append((f"end of {log.name}", log.read_text(errors="replace")[-LOG_CHARACTERS:]))
    return report


@pytest.fixture(scope="session")
def session_stack():
    create = partial(LocalStack, mutation=os.environ.get("FAULTS_MUTATION", ""))
    with running_stack(create) as stack:
        yield stack


@pytest.fixture
def stack(session_stack):
    session_stack.wait_until_idle()
    return session_stack


@pytest.fixture
def workload(stack):
    """Return a workload that runs from before the fault until the end of the test."""
    with running_workload(stack, seed=SEED) as running:
        yield running


@pytest.fixture
def rng(request):
    return random.Random(f"{SEED} {request.node.name}")


def check(workload, **allowed):
    """Wait until everything is delivered, and check it against the promises."""
    workload.wait_until_delivered()
    History(workload).check(**allowed)
