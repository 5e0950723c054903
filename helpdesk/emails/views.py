"""The doors to one's e-mail preferences: the API, and the link at the foot of each e-mail."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import translation
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods
from drf_spectacular.utils import extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from helpdesk.emails.links import read_unsubscription
from helpdesk.emails.models import EmailKind, Unsubscription
from helpdesk.emails.preferences import preferences_of, set_preferences, unsubscribe
from helpdesk.emails.serializers import EmailPreferencesSerializer
from helpdesk.tickets.audience import ANNOUNCED_KINDS
from helpdesk.users.authentication import current_user
from helpdesk.users.models import User


class EmailPreferencesView(GenericAPIView[Unsubscription]):
    serializer_class = EmailPreferencesSerializer

    @extend_schema(operation_id="email_preferences_retrieve")
    def get(self, request: Request) -> Response:
        """Which kinds of e-mail I want."""
        return Response(preferences_of(current_user(request)))

    @extend_schema(operation_id="email_preferences_update")
    def patch(self, request: Request) -> Response:
        """Choose which kinds of e-mail I want; what the body leaves out stays as it is."""
        user = current_user(request)
        serializer = self.get_serializer(data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        set_preferences(user, serializer.validated_data)
        return Response(preferences_of(user))


# The mail program that sends the POST of RFC 8058 has neither cookie nor form: the signature in the link is the proof.
@csrf_exempt
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe_page(request: HttpRequest, token: str) -> HttpResponse:
    """Ask, since programs follow links by themselves; unsubscribe on POST."""
    user_id, kind = read_unsubscription(token) or (None, None)
    user = User.objects.filter(pk=user_id).first()
    if user is None or kind not in ANNOUNCED_KINDS:
        raise Http404
    if request.method == "POST":
        unsubscribe(user, kind)
    with translation.override(user.language):
        context = {"kind": EmailKind(kind).label, "is_done": request.method == "POST"}
        return render(request, "emails/unsubscribe.html", context)
