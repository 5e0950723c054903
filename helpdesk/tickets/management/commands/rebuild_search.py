from typing import Any

from django.core.management import BaseCommand

from helpdesk.tickets import search


class Command(BaseCommand):
    help = "Index the words of every ticket again, beside a running helpdesk: after an upgrade whose notes ask for it."

    def handle(self, *args: Any, **options: Any) -> None:
        done = 0
        for done in search.rebuild():
            if options["verbosity"] > 1:
                self.stdout.write(f"{done:,} tickets indexed.")
        unused = search.delete_unused_words()
        if options["verbosity"]:
            self.stdout.write(f"Indexed {done:,} tickets and deleted {unused:,} unused words.")
