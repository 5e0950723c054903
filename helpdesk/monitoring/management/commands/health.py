import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from helpdesk.core.json import dumps
from helpdesk.monitoring.health import CheckResult, Report, Status, Value, run_checks


class Command(BaseCommand):
    help = "Runs the health checks. The exit code is 0 when the helpdesk is healthy, 1 when degraded or unavailable."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print the response body of GET /api/health/")

    def handle(self, *args: Any, **options: Any) -> None:
        report = run_checks()
        self.stdout.write(dumps(report).decode() if options["json"] else format_report(report))
        if report["status"] != Status.HEALTHY:
            sys.exit(1)


def format_report(report: Report) -> str:
    width = max(map(len, report["checks"]))
    lines = [format_result(name.ljust(width), result) for name, result in report["checks"].items()]
    return "\n".join([*lines, "", f"The helpdesk is {report['status']}."])


def format_result(name: str, result: CheckResult) -> str:
    limit = "" if result["at_most"] is None else f"at most {result['at_most']:g}"
    return f"{name}  {format_value(result['value']):>9}  {limit:14}{'healthy' if result['healthy'] else 'UNHEALTHY'}"


def format_value(value: Value) -> str:
    match value:
        case None:
            return "unknown"
        case bool():
            return "yes" if value else "no"
        case _:
            return f"{value:g}"
