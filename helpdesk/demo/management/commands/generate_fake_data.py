import secrets
from collections import Counter
from io import StringIO
from time import perf_counter
from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser
from django.core.management.base import OutputWrapper
from django.db import IntegrityError

from helpdesk.demo import PASSWORD
from helpdesk.demo.generation import generate_tickets, get_or_create_participants
from helpdesk.demo.rows import delete_all_tickets, update_statistics
from helpdesk.demo.users import refuse_production
from helpdesk.users.models import Language

LANGUAGES = {
    "en": (Language.ENGLISH,),
    "es": (Language.SPANISH,),
    "mixed": (Language.ENGLISH, Language.SPANISH),
}
COUNTS = {
    "tickets": (1000, "how many tickets to add"),
    "comments_per_ticket": (5, "how many comments each of them has"),
    "customers": (50, "how many customers write them: customer_1, customer_2 …"),
    "agents": (10, "how many agents answer: agent_1, agent_2 …"),
}
MAXIMUM_SEED = 2**32
MAXIMUM_COMMENTS_PER_TICKET = 10_000


class Command(BaseCommand):
    help = (
        f"Fill the helpdesk with realistic tickets of demo users, whose password is {PASSWORD}. Notifies nobody. "
        "Run again, it adds more tickets of the same users."
    )
    # They import every URL and view, which takes longer than a thousand tickets.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        for name, (default, meaning) in COUNTS.items():
            option = f"--{name.replace('_', '-')}"
            parser.add_argument(option, type=int, default=default, help=f"{meaning} ({default})")
        parser.add_argument("--locale", choices=LANGUAGES, default="mixed", help="the language of the texts (mixed)")
        parser.add_argument("--seed", type=int, help="the same number makes the same tickets again")
        parser.add_argument("--flush", action="store_true", help="first delete all tickets, comments and history")
        parser.add_argument("--yes", action="store_true", help="do it even with the production settings")

    def handle(self, *args: Any, **options: Any) -> None:
        refuse_production(confirmed=options["yes"])
        check(options)
        if not options["verbosity"]:
            self.stdout = OutputWrapper(StringIO())
        started = perf_counter()
        if options["flush"]:
            delete_all_tickets()
            self.stdout.write("Deleted all tickets, comments and history.")
        rows = self.generate(options)
        update_statistics()
        self.stdout.write(summary(rows, seconds=perf_counter() - started))

    def generate(self, options: dict[str, Any]) -> "Counter[str]":
        """Write the tickets, report every tenth of them, and return how many rows there are of each kind."""
        participants = get_or_create_participants(
            customers=options["customers"],
            agents=options["agents"],
            languages=LANGUAGES[options["locale"]],
        )
        seed = secrets.randbelow(MAXIMUM_SEED) if options["seed"] is None else options["seed"]
        self.stdout.write(f"--seed={seed} makes the same tickets again.")
        total, rows = options["tickets"], Counter[str]()
        numbers = {"tickets": total, "comments_per_ticket": options["comments_per_ticket"], "seed": seed}
        try:
            for batch in generate_tickets(participants, **numbers):
                tenths = rows["tickets"] * 10 // total
                rows.update(batch.counts)
                if rows["tickets"] * 10 // total > tenths:
                    self.stdout.write(f"{rows['tickets']:,} of {total:,} tickets")
                    self.stdout.flush()
        except KeyboardInterrupt:
            written = f"at least {rows['tickets']:,} of {total:,} tickets are written"
            raise CommandError(f"Stopped: {written}, each with all that belongs to it.") from None
        except IntegrityError as error:
            raise CommandError(f"A demo user was deleted meanwhile. {error}") from error
        return rows


def check(options: dict[str, Any]) -> None:
    """Raise CommandError for numbers that make no sense."""
    for name in COUNTS:
        if options[name] < 0:
            raise CommandError(f"--{name.replace('_', '-')} cannot be negative.")
    if options["tickets"] and not (options["customers"] and options["agents"]):
        raise CommandError("Tickets need at least one customer to open them and one agent to answer.")
    if options["comments_per_ticket"] > MAXIMUM_COMMENTS_PER_TICKET:
        raise CommandError(f"--comments-per-ticket is at most {MAXIMUM_COMMENTS_PER_TICKET:,}.")


def summary(rows: "Counter[str]", *, seconds: float) -> str:
    parts = [f"{rows[name]:,} {name}" for name in ("tickets", "comments", "events")]
    return f"{parts[0]}, {parts[1]} and {parts[2]} in {seconds:.2f} s, {rows.total() / seconds:,.0f} rows a second."
