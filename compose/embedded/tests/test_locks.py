import pytest

from compose.embedded.locks import PACKAGE_LOCK, REQUIREMENTS, node_faults, python_faults

HASH = " \\\n    --hash=sha256:00"


def test_the_lock_files_of_this_project_are_in_step():
    assert [*python_faults(REQUIREMENTS), *node_faults(PACKAGE_LOCK)] == []


@pytest.mark.parametrize(
    ("lock", "fault"),
    [
        (f"django==5.2.20{HASH}\n", "base.txt lacks redis."),
        (f"django==6.0{HASH}\nredis==7.4{HASH}\n", "base.txt has django 6.0, which is not <6."),
        (f"django==5.2.20{HASH}\nredis==7.4\n    # via base.in\n", "base.txt has no hash of redis."),
        (
            f"--index-url https://example.com/simple\ndjango==5.2.20{HASH}\nredis==7.4{HASH}\n",
            "base.txt names a place to install from: --index-url https://example.com/simple",
        ),
    ],
)
def test_a_lock_file_that_is_wrong_is_reported(tmp_path, lock, fault):
    (tmp_path / "base.in").write_text("django<6\nredis[hiredis]  # cache and broker\n")
    (tmp_path / "base.txt").write_text(lock)

    assert list(python_faults(tmp_path)) == [fault]


def test_two_lock_files_with_two_versions_of_one_package_are_reported(tmp_path):
    for name, version in (("base", "5.2.19"), ("local", "5.2.20")):
        (tmp_path / f"{name}.in").write_text("django\n")
        (tmp_path / f"{name}.txt").write_text(f"django=={version}{HASH}\n")

    assert list(python_faults(tmp_path)) == ["local.txt has django 5.2.20, another lock file has 5.2.19."]
