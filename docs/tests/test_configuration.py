"""docs/configuration.md names every variable that is read, with its default, and no other."""

import ast
import re
from datetime import timedelta

from django.conf import settings

from config.settings import base

ROOT = settings.BASE_DIR
ROW = re.compile(r"^\| `([A-Z_]+)` \| (.*?) \|", re.MULTILINE)
IN_SETTINGS = re.compile(r'(?:required|env\.\w+)\(\s*"([A-Z_]+)"(?:, default=([^)]*)\))?')
IN_SCRIPTS = re.compile(r"\$\{([A-Z_]+):-([^}]*)\}")
IN_CODE = re.compile(r'"([A-Z][A-Z_]+)"(?:, "([^"]*)")?.*')
IN_OPTIONS = re.compile(r'"([A-Z][A-Z_]+)"(?:, (\d+)\))?')
SCRIPTS = [
    *(ROOT / "compose" / "production").rglob("*"),
    *(ROOT / "compose" / "local").rglob("*"),
    *ROOT.glob("docker-compose.*.yml"),
]
CODE = [*(ROOT / "config").glob("*.py"), *(ROOT / "helpdesk").glob("*/*.py")]
READ_BY_THE_IMAGE_OF_POSTGRESQL = {"POSTGRES_DB", "POSTGRES_USER", "POSTGRES_PASSWORD"}
UNITS = {"days": timedelta(days=1), "hours": timedelta(hours=1), "minutes": timedelta(minutes=1)}


def test_configuration_names_every_variable_with_its_default():
    tables, constants = (ROOT / "docs" / "configuration.md").read_text().split("## Constants")
    documented = dict(ROW.findall(tables))
    read = variables_read()

    offered = {
        name for path in (ROOT / ".envs").glob(".*/.*") for name in re.findall("(?m)^[A-Z_]+", path.read_text())
    }
    assert documented.keys() == {name for name, _default in read} | READ_BY_THE_IMAGE_OF_POSTGRESQL
    assert offered <= documented.keys()
    assert [(name, text) for name, text in read if text and f"`{text}`" not in documented[name]] == []
    values = {name: worded(getattr(base, name, None)) for name, _value in ROW.findall(constants)}
    assert dict(ROW.findall(constants)) == values


def variables_read():
    """Return the variables that settings, scripts and the local stack read, each with a default or an empty text."""
    read = set()
    for name in ("base", "local", "production"):
        found = IN_SETTINGS.findall((ROOT / "config" / "settings" / f"{name}.py").read_text())
        read |= {(variable, literal(default)) for variable, default in found}
    for path in SCRIPTS:
        read |= set(IN_SCRIPTS.findall(path.read_text())) if path.is_file() and path.suffix != ".pyc" else set()
    lines = [line for path in CODE for line in path.read_text().splitlines() if "os.environ" in line]
    read |= {found for line in lines for found in IN_CODE.findall(line)}
    options = (ROOT / "compose" / "embedded" / "options.py").read_text()
    return read | {(name, default.strip("0") and default) for name, default in IN_OPTIONS.findall(options)}


def literal(source):
    """Return a default as it would be written into the environment; empty when it is none, or another variable."""
    value = ast.literal_eval(source) if source and not source.isupper() else ""
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(value) if isinstance(value, list) else str(value)


def worded(value):
    if not isinstance(value, timedelta):
        return f"`{value}`"
    for unit, length in UNITS.items():
        if value >= length and value % length == timedelta(0):
            return f"`{value // length} {unit}`"
    seconds = f"{value.total_seconds():g}"
    return f"`{seconds} second{'s' * (seconds != '1')}`"
