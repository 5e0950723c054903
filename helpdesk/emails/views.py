"""The door at the foot of each e-mail: no more of this kind."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import translation
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from helpdesk.emails.links import read_unsubscription
from helpdesk.emails.models import EmailKind
from helpdesk.tickets.models import ANNOUNCED_KINDS, Medium
from helpdesk.tickets.preferences import mute
from helpdesk.users.models import User


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
        mute(user, kind=kind, medium=Medium.EMAIL)
    with translation.override(user.language):
        context = {"kind": EmailKind(kind).label, "is_done": request.method == "POST"}
        return render(request, "emails/unsubscribe.html", context)
