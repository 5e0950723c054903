import pytest

from compose.embedded.data_dir import claim, is_claimed, reset
from compose.embedded.errors import UserError


def test_two_stacks_cannot_share_a_folder(folder):
    with claim(folder / "data"):
        assert is_claimed(folder / "data")
        with pytest.raises(UserError, match=r"in use by a running stack .* or set DATA_DIR"), claim(folder / "data"):
            pass

    assert not is_claimed(folder / "data")


def test_reset_empties_the_folder(folder):
    with claim(folder / "data") as data_dir:
        (data_dir.mail / "1.eml").touch()

    assert reset(folder / "data")

    assert list((folder / "data").iterdir()) == []
    assert not reset(folder / "data")


def test_reset_is_refused_while_a_stack_runs(folder):
    with claim(folder / "data") as data_dir:
        with pytest.raises(UserError, match="in use by a running stack"):
            reset(folder / "data")

        assert data_dir.mail.exists()


def test_a_folder_with_other_files_is_left_alone(folder):
    (folder / "thesis.txt").touch()

    with pytest.raises(UserError, match="holds other files: set DATA_DIR"), claim(folder):
        pass
    assert not reset(folder)

    assert [path.name for path in folder.iterdir()] == ["thesis.txt"]
