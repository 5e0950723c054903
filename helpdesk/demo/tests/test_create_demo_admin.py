from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from helpdesk.users.models import Role, User

pytestmark = pytest.mark.django_db


def create_demo_admin(**options):
    stdout = StringIO()
    call_command("create_demo_admin", **options, stdout=stdout)
    return stdout.getvalue()


def test_creates_a_superuser_with_the_demo_password():
    assert create_demo_admin() == "Made the superuser admin.\n"

    admin = User.objects.get()
    assert (admin.username, admin.email, admin.role) == ("admin", "admin@example.com", Role.AGENT)
    assert admin.is_superuser
    assert admin.check_password("testpass123")


def test_resets_the_password_and_rights_of_an_existing_admin():
    User.objects.create_user("admin", "admin@example.com", "forgotten", name="Ada", is_active=False)

    assert create_demo_admin() == "Refreshed the superuser admin.\n"

    admin = User.objects.get()
    assert admin.check_password("testpass123")
    assert (admin.name, admin.is_superuser, admin.is_active, admin.is_agent) == ("Ada", True, True, True)


def test_a_taken_address_is_refused():
    User.objects.create_user("ada", "ADMIN@example.com", "hers")

    with pytest.raises(CommandError, match="belongs to another user"):
        create_demo_admin()

    assert User.objects.get().username == "ada"


def test_production_refuses_without_yes(settings):
    settings.SETTINGS_MODULE = "config.settings.production"

    with pytest.raises(CommandError, match="--yes"):
        create_demo_admin()
    assert not User.objects.exists()

    create_demo_admin(yes=True)
    assert User.objects.get().username == "admin"
