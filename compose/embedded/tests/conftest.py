from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from compose.embedded.guard import Guard


@pytest.fixture
def guard() -> Iterator[Guard]:
    with Guard() as guard:
        yield guard


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every account may pass through, which pytest's own tmp_path is not."""
    with TemporaryDirectory(prefix="helpdesk-test-") as name:
        path = Path(name).resolve()
        path.chmod(0o711)
        yield path
