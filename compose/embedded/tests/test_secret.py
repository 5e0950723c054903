from compose.embedded import secret


def test_a_secret_is_made_once_and_only_its_owner_may_read_it(tmp_path):
    first = secret.read_or_make(tmp_path / "key")
    second = secret.read_or_make(tmp_path / "key")

    assert first == second
    assert len(first) >= 50
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


def test_a_file_is_replaced_with_one_that_only_its_owner_may_read(tmp_path):
    (tmp_path / "key").touch(mode=0o644)

    secret.write(tmp_path / "key", "new")

    assert (tmp_path / "key").read_text() == "new"
    assert [path.stat().st_mode & 0o777 for path in tmp_path.iterdir()] == [0o600]
