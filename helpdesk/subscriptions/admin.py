"""Shows a user's disabled notifications on the admin page of the user."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from helpdesk.users.admin import UserAdmin
from helpdesk.users.models import User


@admin.display(description=_("disabled"))
def disabled_notifications(user: User) -> str:
    return ", ".join(map(str, user.notification_preferences.disabled()))


UserAdmin.add_section(_("Notifications"), disabled_notifications)
