from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser
from django.db import IntegrityError, transaction

from helpdesk.demo import PASSWORD
from helpdesk.demo.users import refuse_production
from helpdesk.users.actions import add_user, change_password, update_user
from helpdesk.users.models import Role, User

USERNAME = "admin"
RIGHTS = {"email": "admin@example.com", "role": Role.AGENT, "is_superuser": True, "is_active": True}


class Command(BaseCommand):
    help = f"Make the demo's superuser {USERNAME} / {PASSWORD}, or give it that password again."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--yes", action="store_true", help="do it even with the production settings")

    def handle(self, *args: Any, **options: Any) -> None:
        refuse_production(confirmed=options["yes"])
        try:
            is_new = create_or_reset_admin()
        except IntegrityError as error:
            raise CommandError(f"The address {RIGHTS['email']} belongs to another user.") from error
        if options["verbosity"]:
            self.stdout.write(f"{'Made' if is_new else 'Refreshed'} the superuser {USERNAME}.")


@transaction.atomic
def create_or_reset_admin() -> bool:
    """Save the demo's superuser; return whether it is new. Raises IntegrityError if its address is taken."""
    admin = User.objects.filter(username=USERNAME).first()
    if admin is None:
        admin = User(username=USERNAME, name="Demo Admin", **RIGHTS)
        admin.set_password(PASSWORD)
        add_user(admin, by=admin)
        return True
    change_password(update_user(admin.pk, changes=RIGHTS, by=admin), new_password=PASSWORD)
    return False
