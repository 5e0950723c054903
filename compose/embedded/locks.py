"""Tells whether the lock files keep what the .in files ask for, without the network."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from compose.embedded.options import ROOT

REQUIREMENTS = ROOT / "requirements"
PACKAGE_LOCK = ROOT / "compose" / "embedded" / "package-lock.json"
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;]+)")


def main() -> int:
    faults = [*python_faults(REQUIREMENTS), *node_faults(PACKAGE_LOCK)]
    for fault in faults:
        print(fault)
    if faults:
        print("Run `make locks`.")
    return 1 if faults else 0


def python_faults(folder: Path) -> Iterator[str]:
    """Yield what is wrong with the lock files in a folder of requirements."""
    versions: dict[str, str] = {}
    for source in sorted(folder.glob("*.in")):
        lock = source.with_suffix(".txt")
        if not lock.exists():
            yield f"{lock.name} is missing."
            continue
        text = lock.read_text()
        pins = _pins(text)
        yield from _unmet(_wanted(source), pins, lock.name)
        yield from _unsafe(text, lock.name)
        for name, version in pins.items():
            if versions.setdefault(name, version) != version:
                yield f"{lock.name} has {name} {version}, another lock file has {versions[name]}."


def node_faults(lock: Path) -> Iterator[str]:
    """Yield what is wrong with a package-lock.json; `npm ci` itself refuses one that is out of step."""
    for name, package in json.loads(lock.read_text())["packages"].items():
        if "resolved" in package:
            yield f"{lock.name} names where {name} came from."
        if name and "integrity" not in package:
            yield f"{lock.name} has no hash of {name}."


def _wanted(source: Path) -> list[Requirement]:
    """Return the requirements of an .in file and of the files that it includes."""
    lines = [line.partition("#")[0].strip() for line in source.read_text().splitlines()]
    included = [source.with_name(line.removeprefix("-r").strip()) for line in lines if line.startswith("-r")]
    own = [Requirement(line) for line in lines if line and not line.startswith("-")]
    return own + [requirement for file in included for requirement in _wanted(file)]


def _pins(text: str) -> dict[str, str]:
    matches = (PIN.match(line) for line in text.splitlines())
    return {canonicalize_name(match[1]): match[2] for match in matches if match}


def _unmet(wanted: list[Requirement], pins: dict[str, str], lock: str) -> Iterator[str]:
    for requirement in wanted:
        pin = pins.get(canonicalize_name(requirement.name))
        if pin is None:
            yield f"{lock} lacks {requirement.name}."
        elif not requirement.specifier.contains(Version(pin), prereleases=True):
            yield f"{lock} has {requirement.name} {pin}, which is not {requirement.specifier}."


def _unsafe(text: str, lock: str) -> Iterator[str]:
    for line in text.splitlines():
        if "://" in line or line.startswith("-"):
            yield f"{lock} names a place to install from: {line}"
    for block in re.split(r"\n(?=\S)", text):
        if PIN.match(block) and "--hash=" not in block:
            yield f"{lock} has no hash of {block.partition('==')[0]}."


if __name__ == "__main__":
    sys.exit(main())
