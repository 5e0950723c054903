from functools import partial

import pytest
from xdist.scheduler import LoadScopeScheduling

from compose.embedded.image import make_image
from compose.tests.production_world import ProductionWorld
from faults.world import running_world

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


@pytest.fixture(scope="session")
def lasting_production(production_image):
    with running_world(partial(ProductionWorld, image=production_image)) as world:
        yield world


@pytest.fixture
def production(lasting_production):
    """All of production behind its proxy, calm before each test."""
    lasting_production.calm()
    return lasting_production
