from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser
from django.db import IntegrityError, transaction

from helpdesk.demo.users import PASSWORD, refuse_production
from helpdesk.users.models import Role, User

USERNAME = "admin"
EMAIL = "admin@example.com"


class Command(BaseCommand):
    help = f"Make the demo's superuser {USERNAME} / {PASSWORD}, or give it that password again."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--yes", action="store_true", help="do it even with the production settings")

    def handle(self, *args: Any, **options: Any) -> None:
        refuse_production(sure=options["yes"])
        is_new = make_or_refresh_admin()
        if options["verbosity"]:
            self.stdout.write(f"{'Made' if is_new else 'Refreshed'} the superuser {USERNAME}.")


@transaction.atomic
def make_or_refresh_admin() -> bool:
    """Save the demo's superuser; True when there was none. Raises CommandError when somebody else has its address."""
    admin = User.objects.select_for_update().filter(username=USERNAME).first()
    is_new = admin is None
    admin = admin or User(username=USERNAME, name="Demo Admin")
    admin.email, admin.role, admin.is_superuser, admin.is_active = EMAIL, Role.AGENT, True, True
    admin.set_password(PASSWORD)
    try:
        with transaction.atomic():
            admin.save()
    except IntegrityError as error:
        raise CommandError(f"The address {EMAIL} belongs to another user.") from error
    return is_new
