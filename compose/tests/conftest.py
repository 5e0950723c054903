from functools import partial

import pytest
from xdist.scheduler import LoadScopeScheduling

from compose.embedded.image import make_image
from compose.tests.containers import LocalContainers, ProductionContainers, running
from compose.tests.production_stack import ProductionStack
from faults.stack import running_stack

WITH_ALL_OF_PRODUCTION = ("test_production_contract.py", "test_production_stops.py")


class AllOfProductionOnce(LoadScopeScheduling):
    """Gives what needs all of production to one worker, because a machine has no room for several; the rest to any."""

    def _split_scope(self, nodeid):
        return "production" if any(file in nodeid for file in WITH_ALL_OF_PRODUCTION) else nodeid


def pytest_xdist_make_scheduler(config, log):
    return AllOfProductionOnce(config, log)


@pytest.fixture(scope="session")
def production_image(tmp_path_factory):
    """A folder with what the production images get from here."""
    image = tmp_path_factory.mktemp("production") / "image"
    make_image(image)
    return image


def pytest_addoption(parser):
    parser.addoption("--containers", action="store_true", help="run production in real containers (make containers)")


@pytest.fixture(scope="session")
def session_production(request, tmp_path_factory):
    if request.config.getoption("containers"):
        context = running(ProductionContainers(tmp_path_factory.mktemp("production")))
    else:
        context = running_stack(partial(ProductionStack, image=request.getfixturevalue("production_image")))
    with context as stack:
        yield stack


@pytest.fixture(scope="session")
def local_containers(tmp_path_factory):
    with running(LocalContainers(tmp_path_factory.mktemp("local"))) as stack:
        yield stack


@pytest.fixture
def production(session_production):
    """All of production behind its proxy, wait_until_idle before each test."""
    session_production.wait_until_idle()
    return session_production
