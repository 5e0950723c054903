"""Unsubscribe from a kind of e-mail, by the link in it or with one click (RFC 8058)."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import translation
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from helpdesk.emails.messages import read_unsubscribe_token
from helpdesk.emails.models import EmailKind
from helpdesk.subscriptions.actions import set_preferences
from helpdesk.subscriptions.models import NOTIFIED_KINDS, Channel
from helpdesk.users.models import User


# No CSRF token: mail programs send the POST of RFC 8058 without cookies; the signature in the link authorises it.
@csrf_exempt
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """Ask for confirmation on GET, because programs follow links; unsubscribe on POST."""
    user_id, kind = read_unsubscribe_token(token) or (None, None)
    user = User.objects.filter(pk=user_id).first()
    if user is None or kind not in NOTIFIED_KINDS:
        raise Http404
    if request.method == "POST":
        set_preferences(user, changes={kind: {Channel.EMAIL: False}})
    with translation.override(user.language):
        context = {"kind": EmailKind(kind).label, "is_done": request.method == "POST"}
        return render(request, "emails/unsubscribe.html", context)
