import pytest

from compose.embedded.image import make_image


@pytest.fixture(scope="session")
def production_image(tmp_path_factory):
    """A folder with what the production images get from here."""
    image = tmp_path_factory.mktemp("production") / "image"
    make_image(image)
    return image
