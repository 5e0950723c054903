from typing import Any

from django.core.management import BaseCommand

from helpdesk.tickets import search_index


class Command(BaseCommand):
    help = "Rebuild the search index of all tickets while the helpdesk runs. Needed only after an upgrade whose changelog says so."

    def handle(self, *args: Any, **options: Any) -> None:
        done = 0
        for done in search_index.rebuild_index():
            if options["verbosity"] > 1:
                self.stdout.write(f"{done:,} tickets indexed.")
        unused = search_index.delete_unused_words()
        if options["verbosity"]:
            self.stdout.write(f"Indexed {done:,} tickets and deleted {unused:,} unused words.")
