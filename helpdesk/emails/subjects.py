"""The subjects of e-mails, one line each; those of tickets are part of the contract, in English for everybody."""

from django.utils import translation
from django.utils.translation import gettext as _

from helpdesk.core.text import NOT_ON_ONE_LINE
from helpdesk.emails.models import EmailKind
from helpdesk.tickets.models import EventKind, TicketEvent


def subject_of(event: TicketEvent) -> str:
    return f"[Ticket #{event.ticket_id}] {topic_of(event)}"


def topic_of(event: TicketEvent) -> str:
    match event.kind:
        case EventKind.TICKET_CREATED:
            first_values: dict[str, str] = event.new or {}
            return NOT_ON_ONE_LINE.sub("", first_values["title"])
        case EventKind.STATUS_CHANGED:
            return "Status Updated"
        case EventKind.COMMENT_ADDED:
            return "New Comment"
        case _:
            raise ValueError(f"No e-mail tells of {event.kind}")


def account_subject(kind: EmailKind, language: str) -> str:
    """Return what does not tell, at a glance at somebody's screen, whether they have an account."""
    with translation.override(language):
        match kind:
            case EmailKind.REGISTRATION:
                return _("Your registration")
            case EmailKind.PASSWORD_RESET:
                return _("Choose a new password")
            case EmailKind.ADDRESS_CHANGE:
                return _("Your new e-mail address")
            case EmailKind.ADDRESS_CHANGE_NOTICE:
                return _("Your e-mail address is to change")
            case _:
                raise ValueError(f"No e-mail about an account is {kind}")
