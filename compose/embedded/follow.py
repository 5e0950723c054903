"""Prints what a server adds to its log, until the server ends.

Called as python -m compose.embedded.follow PID LOG. It stands for the server among the processes of the stack, so
that its words and its end are seen there.
"""

import sys
import time
from pathlib import Path

import psutil

POLL_SECONDS = 0.3


def main(pid: int, log: Path) -> int:
    with log.open(errors="replace") as lines:
        lines.seek(0, 2)
        while _lives(pid):
            print(lines.read(), end="", flush=True)
            time.sleep(POLL_SECONDS)
        print(lines.read(), end="", flush=True)
    return 1


def _lives(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), Path(sys.argv[2])))
