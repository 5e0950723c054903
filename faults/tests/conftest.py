"""One world for each process of the tests, calm before each of them."""

import os
import random
from functools import partial

import pytest

from faults.flow import flowing
from faults.history import History
from faults.world import LocalWorld, running_world

SEED = int(os.environ.get("FAULT_SEED", "1"))
SECONDS = float(os.environ.get("FAULT_SECONDS", "2"))
"""How long a fault lasts, or goes on being made."""
ROUNDS = max(2, round(SECONDS / 2))
"""How often one is made that takes a moment."""
LAST_WORDS = 4_000


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Show with a failure what every program has said at last."""
    report = yield
    if report.failed and "world" in item.funcargs:
        for log in sorted(item.funcargs["world"].folder.glob("*.log")):
            report.sections.append((f"{log.stem} at last", log.read_text(errors="replace")[-LAST_WORDS:]))
    return report


@pytest.fixture(scope="session")
def lasting_world():
    make = partial(LocalWorld, mutation=os.environ.get("FAULTS_MUTATION", ""))
    with running_world(make) as world:
        yield world


@pytest.fixture
def world(lasting_world):
    lasting_world.calm()
    return lasting_world


@pytest.fixture
def flow(world):
    """Traffic from before the fault until it is settled."""
    with flowing(world, seed=SEED) as running:
        yield running


@pytest.fixture
def dice(request):
    return random.Random(f"{SEED} {request.node.name}")


def check(flow, **allowed):
    """Let everything be delivered, and hold it against the promises."""
    flow.settle()
    History(flow).check(**allowed)
