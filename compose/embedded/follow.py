"""Prints what a server adds to its log, until the server ends.

Called as python -m compose.embedded.follow PID LOG. It stands for the server among the processes of the stack, so
that its words and its end are seen there.
"""

import sys
import time
from pathlib import Path

import psutil

from compose.embedded.processes import lives

POLL_SECONDS = 0.3


def main(pid: int, log: Path) -> int:
    server = psutil.Process(pid)
    with log.open(errors="replace") as lines:
        lines.seek(0, 2)
        while lives(server):
            print(lines.read(), end="", flush=True)
            time.sleep(POLL_SECONDS)
        print(lines.read(), end="", flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), Path(sys.argv[2])))
