from typing import cast

from django.conf import settings
from django.utils.translation import gettext_lazy as _
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from helpdesk.users.authentication import Monitor, current_user


class RegistrationIsOpen(BasePermission):
    """Allows registration while REGISTRATION_OPEN is on."""

    message = _("Registration is closed.")
    code = "registration_closed"
    denied_methods = frozenset({"POST"})

    def has_permission(self, request: Request, view: APIView) -> bool:
        return bool(settings.REGISTRATION_OPEN)


class IsAgentOrMonitor(BasePermission):
    """Allows agents and monitoring systems."""

    denied_methods = frozenset({"GET"})

    def has_permission(self, request: Request, view: APIView) -> bool:
        return isinstance(cast("object", request.user), Monitor) or current_user(request).is_agent
