"""The suite detects what it is for: with any of three defects, the product fails it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from compose.embedded.options import ROOT

TESTS = Path(__file__).parent.relative_to(ROOT)
TIMEOUT_SECONDS = 8
EXPECTED_FAILURES = {
    "no_sweep": ("test_redis.py", "emptying", "more is delivered"),
    "no_lease": ("test_mail.py", "takes_long", "sent by two workers at a time"),
    "sequence_as_cursor": ("test_announcer.py", "committed_after_later", "more is delivered"),
}


@pytest.mark.parametrize("mutation", EXPECTED_FAILURES)
def test_the_suite_fails(mutation):
    file, name, reason = EXPECTED_FAILURES[mutation]
    variables = {"FAULTS_MUTATION": mutation, "FAULT_TIMEOUT": str(TIMEOUT_SECONDS)}

    ended = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-n",
            "0",
            "--timeout",
            "600",
            "-p",
            "no:cacheprovider",
            TESTS / file,
            "-k",
            name,
        ],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == pytest.ExitCode.TESTS_FAILED, ended.stdout[-3000:]
    assert reason in ended.stdout
