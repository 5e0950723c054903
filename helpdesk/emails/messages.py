"""The content of e-mails: subjects, HTML and text bodies in the recipient's language, links, headers."""

import secrets
from email.utils import parseaddr
from typing import Any, NamedTuple

from css_inline import CSSInliner
from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.core.signing import BadSignature, Signer
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation
from django.utils.html import escape
from django.utils.translation import gettext as _

from helpdesk.core.text import NOT_ON_ONE_LINE
from helpdesk.emails.models import Email, EmailKind
from helpdesk.tickets.models import Comment, EventKind, Priority, Status, TicketEvent
from helpdesk.users.account_tokens import (
    make_address_change_token,
    make_password_reset_token,
    make_registration_token,
)
from helpdesk.users.models import AddressChange, Registration, User

UNSUBSCRIPTION_SALT = "helpdesk.emails.unsubscription"

inliner = CSSInliner(keep_style_tags=True, load_remote_stylesheets=False)


# Random, so that no text of a user contains it.
UNSUBSCRIBE_PLACEHOLDER = f"https://unsubscribe.invalid/{secrets.token_hex(16)}"


class Body(NamedTuple):
    html: str
    text: str


Bodies = dict[tuple[int, str], Body]
"""The bodies of tickets' e-mails by event id and language, with UNSUBSCRIBE_PLACEHOLDER as the recipient's link."""


class Message(EmailMultiAlternatives):
    """Is encoded once, when `message()` is first called: an error then belongs to the rendering, and not to SMTP."""

    encoded: Any = None

    def message(self, **options: Any) -> Any:
        if self.encoded is None:
            self.encoded = super().message(**options)
        return self.encoded


def get_ticket_subject(event: TicketEvent) -> str:
    """Return the subject, in English for everybody, so that mail filters can rely on it."""
    match event.kind:
        case EventKind.TICKET_CREATED:
            values: dict[str, str] = event.new or {}
            topic = NOT_ON_ONE_LINE.sub("", values["title"])
        case EventKind.STATUS_CHANGED:
            topic = "Status Updated"
        case EventKind.COMMENT_ADDED:
            topic = "New Comment"
        case _:
            raise ValueError(f"There is no e-mail for {event.kind}")
    return f"[Ticket #{event.ticket_id}] {topic}"


def get_account_subject(kind: EmailKind, language: str) -> str:
    """Return a subject that is the same whether or not the address has an account."""
    with translation.override(language):
        match kind:
            case EmailKind.REGISTRATION:
                return _("Your registration")
            case EmailKind.PASSWORD_RESET:
                return _("Reset your password")
            case EmailKind.ADDRESS_CHANGE:
                return _("Your new e-mail address")
            case EmailKind.ADDRESS_CHANGE_NOTICE:
                return _("Your e-mail address is about to change")
            case _:
                raise ValueError(f"There is no account e-mail {kind}")


def build_message(email: Email, bodies: Bodies) -> EmailMultiAlternatives:
    """Return a message that is ready to send; raises whatever rendering or encoding it raises.

    The body of a ticket's e-mail is taken from `bodies`, or added to them.
    """
    links = get_recipient_links(email)
    body = get_ticket_body(email, links, bodies) if email.event_id else render_body(email, links)
    message = Message(
        subject=email.subject,
        body=body.text,
        to=[email.address],
        headers=get_headers(email, links),
    )
    message.attach_alternative(body.html, "text/html")
    message.message()
    return message


def get_ticket_body(email: Email, links: dict[str, str], bodies: Bodies) -> Body:
    """Return the body that all recipients of an event with the same language have in common, with the recipient's link."""
    key = (email.event_id or 0, email.language)
    if key not in bodies:
        bodies[key] = render_body(email, {"unsubscribe_url": UNSUBSCRIBE_PLACEHOLDER})
    html, text = bodies[key]
    url = links["unsubscribe_url"]
    return Body(html.replace(UNSUBSCRIBE_PLACEHOLDER, escape(url)), text.replace(UNSUBSCRIBE_PLACEHOLDER, url))


def render_preview(email: Email) -> Body:
    """Return the body as it would be sent now, without the links that act for the recipient."""
    return render_body(email, links={})


def render_body(email: Email, links: dict[str, str]) -> Body:
    with translation.override(email.language):
        context = {"email": email, "site_url": settings.SITE_URL, **get_context(email), **links}
        name = "ticket" if email.kind in EventKind.values else email.kind
        html = render_to_string(f"emails/{name}.html", context)
        text = render_to_string(f"emails/{name}.txt", context)
    return Body(inliner.inline(html), text.strip() + "\n")


def get_recipient_links(email: Email) -> dict[str, str]:
    """Return, by template variable, the links that act for the recipient without a login."""
    recipient, confirmable = email.recipient, email.registration or email.address_change
    match email.kind, recipient, confirmable:
        case EmailKind.REGISTRATION, None, Registration():
            return {"confirmation_url": get_confirmation_url(make_registration_token(confirmable))}
        case EmailKind.ADDRESS_CHANGE, None, AddressChange():
            return {"confirmation_url": get_confirmation_url(make_address_change_token(confirmable))}
        case EmailKind.PASSWORD_RESET, User(), _:
            return {"password_reset_url": get_password_reset_url(recipient)}
        case _, User(), _ if email.event is not None:
            return {"unsubscribe_url": get_unsubscribe_url(recipient, email.kind)}
        case _:
            return {}


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


def get_headers(email: Email, links: dict[str, str]) -> dict[str, str]:
    """Return Message-ID, threading headers, one-click unsubscribe (RFC 8058) and Auto-Submitted (RFC 3834)."""
    headers = {"Message-ID": make_message_id(str(email.uuid)), "Auto-Submitted": "auto-generated"}
    if email.event:
        thread = make_message_id(f"ticket-{email.event.ticket_id}")
        headers |= {"In-Reply-To": thread, "References": thread}
    if url := links.get("unsubscribe_url"):
        headers |= {"List-Unsubscribe": f"<{url}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
    return headers


def make_message_id(local_part: str) -> str:
    _name, address = parseaddr(settings.DEFAULT_FROM_EMAIL)
    return f"<{local_part}@{address.rpartition('@')[2]}>"


def get_context(email: Email) -> dict[str, Any]:
    """Return the template variables of a ticket's e-mail; raises DoesNotExist if ticket or comment were deleted."""
    event = email.event
    if event is None:
        return {}
    ticket = event.ticket
    return {"ticket": ticket, "event": event, "ticket_url": get_ticket_url(ticket.pk), **get_event_context(event)}


def get_event_context(event: TicketEvent) -> dict[str, Any]:
    match event.kind:
        case EventKind.TICKET_CREATED:
            values: dict[str, str] = event.new or {}
            return {"priority": Priority[values["priority"].upper()].label}
        case EventKind.STATUS_CHANGED:
            return {"old_status": Status(str(event.old)).label, "new_status": Status(str(event.new)).label}
        case _:
            if event.comment is None:
                raise Comment.DoesNotExist("Comment matching query does not exist.")
            return {"comment": event.comment}
