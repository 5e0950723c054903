import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from helpdesk.core.json import dumps
from helpdesk.core.vital_signs import Reading, Report, Status, Value, examine


class Command(BaseCommand):
    help = (
        "Says whether the helpdesk does its work. "
        "The exit code is 0 when it is ok, and 1 when it is degraded or unavailable."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print what GET /api/health/ answers")

    def handle(self, *args: Any, **options: Any) -> None:
        report = examine()
        self.stdout.write(dumps(report).decode() if options["json"] else table(report))
        if report["status"] != Status.OK:
            sys.exit(1)


def table(report: Report) -> str:
    width = max(map(len, report["signs"]))
    lines = [line(name.ljust(width), reading) for name, reading in report["signs"].items()]
    return "\n".join([*lines, "", f"The helpdesk is {report['status']}."])


def line(name: str, reading: Reading) -> str:
    limit = "" if reading["at_most"] is None else f"at most {reading['at_most']:g}"
    return f"{name}  {worded(reading['value']):>9}  {limit:14}{'ok' if reading['ok'] else 'NOT OK'}"


def worded(value: Value) -> str:
    match value:
        case None:
            return "not known"
        case bool():
            return "yes" if value else "no"
        case _:
            return f"{value:g}"
