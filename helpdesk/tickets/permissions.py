from django.http import Http404
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from helpdesk.tickets.models import Ticket
from helpdesk.users.authentication import current_user


class OnlyAgentsChangeTickets(BasePermission):
    """Customers open and read tickets; a change of theirs is 403, of what they cannot see 404."""

    denied_methods = frozenset({"PUT", "PATCH", "DELETE"})

    def has_permission(self, request: Request, view: APIView) -> bool:
        if request.method not in self.denied_methods or current_user(request).is_agent:
            return True
        if getattr(view, "action", None) is None:
            return True  # Nobody has such a method here, which DRF says next, with 405.
        if not Ticket.objects.visible_to(current_user(request)).filter(pk=view.kwargs["pk"]).exists():
            raise Http404
        return False
