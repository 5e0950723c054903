"""Permissions on tickets."""

from django.http import Http404
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from helpdesk.tickets.models import Ticket
from helpdesk.users.authentication import current_user


class IsAgent(BasePermission):
    """Allows agents. Customers get 403 for a ticket that they may see, and 404 for any other."""

    denied_methods = frozenset({"PUT", "PATCH", "DELETE"})

    def has_permission(self, request: Request, view: APIView) -> bool:
        user = current_user(request)
        if not user.is_agent and not Ticket.objects.visible_to(user).filter(pk=view.kwargs["pk"]).exists():
            raise Http404
        return user.is_agent
