import subprocess
import sys
from pathlib import Path

import pytest

from compose.embedded.stack import _catches_interrupt

SIGNAL_STATES = """
import signal
for state in (signal.default_int_handler, signal.SIG_DFL, signal.SIG_IGN):
    signal.signal(signal.SIGINT, state)
    print("set", flush=True)
    input()
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells")
def test_it_is_seen_that_a_process_no_longer_catches_an_interrupt():
    command = [sys.executable, "-c", SIGNAL_STATES]
    seen = []

    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        while process.stdout.readline():
            seen.append(_catches_interrupt(process.pid))
            process.stdin.write("\n")
            process.stdin.flush()

    assert seen == [True, False, False]
    assert not _catches_interrupt(process.pid)
