from django.http import Http404
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request
from rest_framework.viewsets import GenericViewSet

from helpdesk.tickets.models import Ticket


class OnlyAgentsChangeTickets(BasePermission):
    """Customers open and read tickets; a change of theirs is 403, of what they cannot see 404."""

    def has_permission(self, request: Request, view: GenericViewSet) -> bool:  # type: ignore[override]
        if request.method in {*SAFE_METHODS, "POST"} or request.user.is_agent:
            return True
        if not Ticket.objects.visible_to(request.user).filter(pk=view.kwargs["pk"]).exists():
            raise Http404
        return False
