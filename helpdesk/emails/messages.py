"""What an e-mail says: HTML, a text twin and headers, in its recipient's language."""

from email.utils import parseaddr
from typing import Any, NamedTuple

from css_inline import CSSInliner
from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.utils import translation

from helpdesk.emails.links import confirmation_url, password_reset_url, ticket_url, unsubscribe_url
from helpdesk.emails.models import Email, EmailKind
from helpdesk.tickets.models import Comment, EventKind, Priority, Status, Ticket, TicketEvent
from helpdesk.users.account_tokens import make_address_change_token, make_registration_token
from helpdesk.users.models import AddressChange, Registration, User

inliner = CSSInliner(keep_style_tags=True, load_remote_stylesheets=False)


class Letter(NamedTuple):
    html: str
    text: str


def message_of(email: Email) -> EmailMultiAlternatives:
    """Return a message that is ready to be sent; raises when it cannot be rendered or encoded."""
    secrets = secrets_of(email)
    letter = letter_of(email, secrets)
    message = EmailMultiAlternatives(
        subject=email.subject,
        body=letter.text,
        to=[email.address],
        headers=headers_of(email, secrets),
    )
    message.attach_alternative(letter.html, "text/html")
    message.message()
    return message


def preview_of(email: Email) -> Letter:
    """Return what an e-mail says, without the links that speak for its recipient."""
    return letter_of(email, secrets={})


def letter_of(email: Email, secrets: dict[str, str]) -> Letter:
    with translation.override(email.language):
        context = {"email": email, "site_url": settings.SITE_URL, **context_of(email), **secrets}
        html = render_to_string(f"emails/{email.kind}.html", context)
        text = render_to_string(f"emails/{email.kind}.txt", context)
    return Letter(inliner.inline(html), text.strip() + "\n")


def secrets_of(email: Email) -> dict[str, str]:
    """Return the links that let whoever has them act as the recipient."""
    reader, asked_for = email.recipient, email.registration or email.address_change
    match email.kind, reader, asked_for:
        case EmailKind.REGISTRATION, None, Registration():
            return {"confirmation_url": confirmation_url(make_registration_token(asked_for))}
        case EmailKind.ADDRESS_CHANGE, None, AddressChange():
            return {"confirmation_url": confirmation_url(make_address_change_token(asked_for))}
        case EmailKind.PASSWORD_RESET, User(), _:
            return {"password_reset_url": password_reset_url(reader)}
        case _, User(), _ if email.event is not None:
            return {"unsubscribe_url": unsubscribe_url(reader, email.kind)}
        case _:
            return {}


def headers_of(email: Email, secrets: dict[str, str]) -> dict[str, str]:
    """Return what makes programs thread a ticket's e-mails, offer to unsubscribe, and not reply by themselves."""
    headers = {"Message-ID": message_id(str(email.uuid)), "Auto-Submitted": "auto-generated"}
    if email.event:
        thread = message_id(f"ticket-{email.event.ticket_id}")
        headers |= {"In-Reply-To": thread, "References": thread}
    if link := secrets.get("unsubscribe_url"):
        headers |= {"List-Unsubscribe": f"<{link}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
    return headers


def message_id(name: str) -> str:
    _name, address = parseaddr(settings.DEFAULT_FROM_EMAIL)
    return f"<{name}@{address.rpartition('@')[2]}>"


def context_of(email: Email) -> dict[str, Any]:
    event = email.event
    if event is None:
        return {}
    ticket = Ticket.objects.select_related("created_by").get(pk=event.ticket_id)
    return {"ticket": ticket, "event": event, "ticket_url": ticket_url(ticket.pk), **facts_of(event)}


def facts_of(event: TicketEvent) -> dict[str, Any]:
    """Return what happened, in the words of the active language."""
    match event.kind:
        case EventKind.TICKET_CREATED:
            first_values: dict[str, str] = event.new or {}
            return {"priority": Priority[first_values["priority"].upper()].label}
        case EventKind.STATUS_CHANGED:
            return {"old_status": Status(str(event.old)).label, "new_status": Status(str(event.new)).label}
        case _:
            return {"comment": Comment.objects.select_related("author").get(pk=event.comment_id or 0)}
