"""Whether the recipients of claimed e-mails should get them now, and at which address."""

from collections.abc import Collection, Mapping, Sequence

from helpdesk.emails.models import Email, EmailKind
from helpdesk.subscriptions.models import Channel
from helpdesk.subscriptions.recipients import disabled_preferences
from helpdesk.tickets.models import Ticket, TicketEvent
from helpdesk.users.models import AddressChange, Registration, User


def check_recipients(emails: Sequence[Email]) -> dict[int, str]:
    """Return, by the e-mails' ids, why their recipients should not get them now; "" if they should.

    Sets what the messages are made of, as it is now: events with tickets and comments, recipients, addresses, and what is
    to be confirmed. At most six queries, and one for each e-mail to an address whose owner is looked up.
    """
    events, tickets = read_events(emails)
    users = User.objects.in_bulk({email.recipient_id for email in emails if email.recipient_id})
    registrations = Registration.objects.in_bulk({email.registration_id for email in emails if email.registration_id})
    change_ids = {email.address_change_id for email in emails if email.address_change_id}
    changes = AddressChange.objects.pending().in_bulk(change_ids)
    disabled = disabled_preferences(set(users))
    reasons = {}
    for email in emails:
        email.event = events.get(email.event_id or 0)
        email.registration = registrations.get(email.registration_id or 0)
        email.address_change = changes.get(email.address_change_id or 0)
        email.recipient = users.get(email.recipient_id or 0)
        set_address(email)
        reasons[email.pk] = get_cancellation_reason(email, tickets, disabled)
    return reasons


def read_events(emails: Sequence[Email]) -> tuple[dict[int, TicketEvent], dict[int, Ticket]]:
    """Return the events of the e-mails and their tickets, unless these were deleted, by their ids."""
    event_ids = {email.event_id for email in emails if email.event_id}
    events = TicketEvent.objects.select_related("actor", "comment__author").in_bulk(event_ids)
    ticket_ids = {event.ticket_id for event in events.values()}
    tickets = Ticket.objects.select_related("created_by").in_bulk(ticket_ids)
    for event in events.values():
        if event.ticket_id in tickets:
            event.ticket = tickets[event.ticket_id]
    return events, tickets


def set_address(email: Email) -> None:
    """Set the address of today, and whose it is; that of a notice is the one of the time when it was enqueued."""
    if email.kind == EmailKind.ADDRESS_CHANGE_NOTICE:
        return
    if email.event is None:
        email.recipient = get_address_owner(email)
    if email.recipient is not None:
        # In the account's spelling: to other systems one that differs in case may be another address.
        email.address = email.recipient.email


def get_address_owner(email: Email) -> User | None:
    # A user's own address in another spelling has to be confirmed like a new one.
    requester_id = email.address_change.user_id if email.address_change else None
    owner: User | None = User.objects.with_email(email.address).exclude(pk=requester_id).first()
    return owner


def get_cancellation_reason(
    email: Email, tickets: Mapping[int, Ticket], disabled: Collection[tuple[int, str, str]]
) -> str:
    recipient = email.recipient
    if recipient is not None and not recipient.is_active:
        return "The recipient is not active."
    match email.kind:
        case EmailKind.REGISTRATION:
            return "" if email.registration else "The registration has ended."
        case EmailKind.PASSWORD_RESET:
            return "" if recipient else "Nobody has this address."
        case EmailKind.ADDRESS_CHANGE:
            return "" if email.address_change else "The change of address has ended."
        case EmailKind.ADDRESS_CHANGE_NOTICE:
            return "" if recipient else "It has no recipient."
    if recipient is None or email.event is None:
        return "It has no recipient."
    ticket = tickets.get(email.event.ticket_id)
    if ticket is None or not ticket.is_visible_to(recipient):
        return "The recipient may not see the ticket any more, or it was deleted."
    if (recipient.pk, email.kind, Channel.EMAIL) in disabled:
        return "The recipient has unsubscribed."
    return ""
