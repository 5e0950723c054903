"""The links in e-mails; confirmation, password reset and unsubscribe links act for their recipient without a login."""

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.urls import reverse

from helpdesk.users.account_tokens import make_password_reset_token
from helpdesk.users.models import User

UNSUBSCRIPTION_SALT = "helpdesk.emails.unsubscription"


def get_ticket_url(ticket_id: int) -> str:
    return f"{settings.SITE_URL}/tickets/{ticket_id}"


# Tokens are in the fragment, which browsers do not send, so that no access log has them.
def get_confirmation_url(token: str) -> str:
    return f"{settings.SITE_URL}/verify-email#{token}"


def get_password_reset_url(user: User) -> str:
    return f"{settings.SITE_URL}/reset-password#{make_password_reset_token(user)}"


def get_unsubscribe_url(user: User, kind: str) -> str:
    token = Signer(salt=UNSUBSCRIPTION_SALT).sign_object([user.pk, kind])
    return settings.SITE_URL + reverse("unsubscribe", args=[token])


def read_unsubscribe_token(token: str) -> tuple[int, str] | None:
    """Return the user's id and the kind of e-mail; None if the signature is wrong."""
    try:
        user_id, kind = Signer(salt=UNSUBSCRIPTION_SALT).unsign_object(token)
    except BadSignature:
        return None
    return user_id, kind
