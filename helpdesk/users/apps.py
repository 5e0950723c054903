from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps
from django.utils.translation import gettext_lazy as _


class UsersConfig(AppConfig):
    name = "helpdesk.users"
    verbose_name = _("Users")


class AdminConfig(admin_apps.AdminConfig):
    default = False
    default_site = "helpdesk.users.admin_site.HelpdeskAdminSite"
