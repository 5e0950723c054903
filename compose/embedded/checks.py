"""`make check`: every check that is not a test, one line each; what a failed one said follows below it."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from compose.embedded.options import ROOT

BIN = Path(sys.executable).parent
LINT_IMPORTS = "from importlinter.cli import lint_imports_command; lint_imports_command()"
CADDYFILE = "compose/production/proxy/Caddyfile"
KUBERNETES = "1.33"
SITE = "https://helpdesk.example.com"
PRODUCTION = [
    "DJANGO_SETTINGS_MODULE=config.settings.production",
    "DJANGO_ALLOWED_HOSTS=helpdesk.example.com",
    f"SITE_URL={SITE}",
    "EMAIL_HOST=smtp.example.com",
]
SCRIPT_FOLDERS = [".ci", "compose"]
TEMPLATE_FOLDERS = ["config", "helpdesk"]


@dataclass(frozen=True)
class Result:
    name: str
    is_good: bool
    output: str
    seconds: float


def main() -> int:
    # Two processors are common; more checks at once would only wait for each other.
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 2)) as pool:
        good = [_report(result) for result in pool.map(_run, *zip(*commands().items(), strict=True))]
    return 0 if all(good) else 1


def commands() -> Mapping[str, list[str]]:
    """Return the command lines by what they check, the slowest first, so that the others run beside it."""
    python, manage = sys.executable, [sys.executable, "manage.py"]
    caddy, kubernetes = str(BIN / "caddy"), str(BIN / "kubernetes-validate")
    return {
        "types": [python, "-m", "mypy"],
        "API schema": [*manage, "spectacular", "--validate", "--fail-on-warn", "--file", os.devnull],
        "migrations": [*manage, "makemigrations", "--check", "--dry-run"],
        "settings and models": [*manage, "check", "--fail-level", "WARNING"],
        "production's settings": ["env", *PRODUCTION, *manage, "check", "--deploy", "--fail-level", "WARNING"],
        "imports": [python, "-c", LINT_IMPORTS],
        "style": [python, "-m", "ruff", "check", "--quiet"],
        "format": [python, "-m", "ruff", "format", "--check", "--quiet"],
        "lock files": [python, "-m", "compose.embedded.locks"],
        "templates": [str(BIN / "djade"), "--check", "--target-version", "5.2", *_templates()],
        "scripts": [str(BIN / "shellcheck"), "--external-sources", *_scripts()],
        "compose files": [python, "-m", "compose.embedded.compose_files"],
        "images": [str(BIN / "hadolint"), *_found("*/*/Dockerfile")],
        "proxy": ["env", f"SITE_URL={SITE}", caddy, "validate", "--config", CADDYFILE],
        "proxy's format": [caddy, "fmt", "--diff", CADDYFILE],
        "Kubernetes": [kubernetes, "--strict", "--quiet", "-k", KUBERNETES, *_found("production/kubernetes/*.yaml")],
    }


def _run(name: str, command: list[str]) -> Result:
    started = time.monotonic()
    ended = subprocess.run(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return Result(name, ended.returncode == 0, ended.stdout, time.monotonic() - started)


def _report(result: Result) -> bool:
    print(f"{'ok    ' if result.is_good else 'FAILED'} {result.name:21} {result.seconds:4.1f} s", flush=True)
    if not result.is_good:
        print(result.output, flush=True)
    return result.is_good


def _templates() -> list[str]:
    return [str(path) for folder in TEMPLATE_FOLDERS for path in sorted((ROOT / folder).rglob("templates/**/*.html"))]


def _scripts() -> list[str]:
    return [str(path) for folder in SCRIPT_FOLDERS for path in _files(ROOT / folder) if _is_shell_script(path)]


def _found(pattern: str) -> list[str]:
    return [str(path) for path in sorted((ROOT / "compose").glob(pattern))]


def _files(folder: Path) -> Iterator[Path]:
    for path, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in {"node_modules", "__pycache__"}]
        yield from (Path(path) / name for name in sorted(names))


def _is_shell_script(path: Path) -> bool:
    with path.open("rb") as file:
        first = file.readline(100)
    return first.startswith(b"#!") and first.split()[-1].rpartition(b"/")[2] in {b"sh", b"bash"}


if __name__ == "__main__":
    sys.exit(main())
