"""Where the links in e-mails lead; the signed ones speak for their recipient."""

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.urls import reverse

from helpdesk.users.account_tokens import make_password_reset_token
from helpdesk.users.models import User


def ticket_url(ticket_id: int) -> str:
    return f"{settings.SITE_URL}/tickets/{ticket_id}"


# A fragment is sent to no server, so that the tokens get into no log.
def confirmation_url(token: str) -> str:
    return f"{settings.SITE_URL}/verify-email#{token}"


def password_reset_url(user: User) -> str:
    return f"{settings.SITE_URL}/reset-password#{make_password_reset_token(user)}"


def unsubscribe_url(user: User, kind: str) -> str:
    return settings.SITE_URL + reverse("unsubscribe", args=[unsubscription_signer().sign_object([user.pk, kind])])


def read_unsubscription(token: str) -> tuple[int, str] | None:
    """Return the user's id and the kind of e-mail in the token of a link; None when we did not sign it."""
    try:
        user_id, kind = unsubscription_signer().unsign_object(token)
    except BadSignature:
        return None
    return user_id, kind


def unsubscription_signer() -> Signer:
    return Signer(salt="helpdesk.emails.unsubscription")
