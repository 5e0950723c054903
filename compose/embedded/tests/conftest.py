from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from compose.embedded.postgres import remove


@pytest.fixture
def folder():
    """A folder that every account may pass through, which pytest's own tmp_path is not."""
    with TemporaryDirectory(prefix="helpdesk-test-") as name:
        path = Path(name).resolve()
        path.chmod(0o711)
        yield path
        for home in (path / "postgres", path / "data" / "postgres"):
            remove(home)
