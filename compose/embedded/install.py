"""Makes .venv and installs the Python packages of a lock file into it: install.py [NAME], of requirements/local.txt.

Runs with the machine's own Python and the standard library alone, and has to be understood by a Python that is too old.
"""

import signal
import subprocess
import sys
import time
from pathlib import Path

OLDEST = (3, 11)
ROOT = Path(__file__).resolve().parent.parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
REQUIREMENTS = ROOT / "requirements"


def main(arguments: list[str]) -> None:
    # Ctrl-C reaches pip as well, and needs no trace.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.version_info < OLDEST:
        needed, ours = (".".join(map(str, version[:2])) for version in (OLDEST, sys.version_info))
        sys.exit(f"Python {needed} or newer is needed, this is {ours}: run `make up PYTHON=/path/to/a/newer/python3`.")
    if not is_usable():
        make_venv()
    if not arguments:
        install_packages(REQUIREMENTS / "local.txt")
        (VENV / ".installed").touch()
    for name in arguments:
        install_packages(REQUIREMENTS / f"{name}.txt")
        (VENV / f".installed-{name}").touch()


def is_usable() -> bool:
    """Tell whether there is an environment whose Python still exists and is new enough."""
    if not PYTHON.exists():
        return False
    question = f"import pip, sys; sys.exit(sys.version_info < {OLDEST})"
    return subprocess.run([str(PYTHON), "-c", question], capture_output=True, check=False).returncode == 0


def make_venv() -> None:
    started = time.monotonic()
    print("Make .venv ...", end="", flush=True)
    made = subprocess.run(
        [sys.executable, "-m", "venv", "--clear", str(VENV)], capture_output=True, text=True, check=False
    )
    if made.returncode != 0:
        sys.exit(f"\n{made.stdout}{made.stderr}")
    print(f" {time.monotonic() - started:.1f} s", flush=True)


def install_packages(lock: Path) -> None:
    """Run pip; show its progress as a count on a terminal, and its words only if it fails."""
    started = time.monotonic()
    total = lock.read_text().count("==")
    title = f"Install {total} Python packages ..."
    print(title, end="", flush=True)
    command = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "--require-hashes", "-r", str(lock)]
    output = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip:
        for line in pip.stdout or ():
            output.append(line)
            if line.startswith("Collecting ") and sys.stdout.isatty():
                seen = sum(earlier.startswith("Collecting ") for earlier in output)
                print(f"\r{title} {seen}", end="", flush=True)
    if pip.returncode != 0:
        sys.exit(f"\n{''.join(output)}")
    shown = f"\r{title}" if sys.stdout.isatty() else ""
    print(f"{shown} {time.monotonic() - started:.1f} s", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
