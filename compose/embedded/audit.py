"""`make audit`: known vulnerabilities of what the lock files pin, asked of PyPI and npm.

Exit code 1: there are some. 2: nobody answered for everything, so nothing is known of the rest.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from compose.embedded.locks import PACKAGE_LOCK, REQUIREMENTS
from compose.embedded.node import find_node, find_npm

PIP_AUDIT = [sys.executable, "-m", "pip_audit", "--require-hashes", "--disable-pip", "--format", "json"]
PATIENCE_SECONDS = 600
VULNERABLE, UNKNOWN = 1, 2


@dataclass(frozen=True, kw_only=True)
class Findings:
    vulnerabilities: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


def main() -> int:
    findings = [audit_python(lock) for lock in sorted(REQUIREMENTS.glob("*.txt"))]
    findings.append(audit_node())
    return report(findings)


def audit_python(lock: Path) -> Findings:
    return python_findings(lock.name, _output([*PIP_AUDIT, "--progress-spinner", "off", "--requirement", str(lock)]))


def audit_node() -> Findings:
    if find_node() is None:
        return Findings(unknown=[f"{PACKAGE_LOCK.name}: there is no Node."])
    command = [*find_npm(), "audit", "--package-lock-only", "--json"]
    return node_findings(PACKAGE_LOCK.name, _output(command, cwd=PACKAGE_LOCK.parent))


def report(findings: Sequence[Findings]) -> int:
    """Print what was found and return the exit code."""
    vulnerabilities = sorted({line for each in findings for line in each.vulnerabilities})
    unknown = [line for each in findings for line in each.unknown]
    for line in [*vulnerabilities, *unknown]:
        print(line)
    if vulnerabilities:
        return VULNERABLE
    if unknown:
        print("Not all packages were audited: that says nothing of them. Try again where the services can be reached.")
        return UNKNOWN
    print("No known vulnerabilities.")
    return 0


def python_findings(lock: str, output: str) -> Findings:
    """Read pip-audit's report, which skips a package that PyPI does not answer for, and takes that for success."""
    try:
        packages = json.loads(output)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return Findings(unknown=[f"{lock}: PyPI could not be asked."])
    skipped = sum("skip_reason" in package for package in packages)
    return Findings(
        vulnerabilities=[
            f"{package['name']} {package['version']}: {found['id']}, mended in {', '.join(found['fix_versions']) or 'none'}"
            for package in packages
            for found in package.get("vulns", [])
        ],
        unknown=[f"{lock}: PyPI did not answer for {skipped} of {len(packages)} packages."] if skipped else [],
    )


def node_findings(lock: str, output: str) -> Findings:
    try:
        packages = json.loads(output)["vulnerabilities"]
    except (ValueError, KeyError, TypeError):
        return Findings(unknown=[f"{lock}: npm could not be asked."])
    return Findings(
        vulnerabilities=[
            f"{name} {package['range']}: {package['severity']}, see `npm audit`" for name, package in packages.items()
        ]
    )


def _output(command: Sequence[str], cwd: Path | None = None) -> str:
    """Return what the command says, however it ends: an audit that finds something has failed."""
    try:
        ended = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return ""
    if not ended.stdout:
        print(ended.stderr, file=sys.stderr)
    return ended.stdout


if __name__ == "__main__":
    sys.exit(main())
