import signal
from typing import Any

from django.core.management.base import BaseCommand

from helpdesk.core.after_commit import flush_all
from helpdesk.monitoring.metrics import serve_metrics
from helpdesk.tickets.announcer import Announcer


class Command(BaseCommand):
    help = (
        "Announce committed events until SIGTERM. Of several such processes one works; the others wait to take over."
    )
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        announcer = Announcer()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, announcer.stop)
        serve_metrics()
        announcer.run()
        flush_all()
