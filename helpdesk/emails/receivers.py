"""What emails hears."""

from typing import Any

from django.dispatch import receiver

from helpdesk.core.after_commit import after_commit
from helpdesk.emails.actions import queue_account_email, queue_emails
from helpdesk.emails.models import EmailKind
from helpdesk.emails.tasks import sending
from helpdesk.tickets.models import TicketEvent
from helpdesk.tickets.signals import ticket_events_announced
from helpdesk.users.models import AddressChange, Registration
from helpdesk.users.signals import address_change_requested, password_reset_requested, registration_requested


@receiver(ticket_events_announced)
def owe_emails(*, events: list[TicketEvent], **kwargs: Any) -> None:
    if email_ids := queue_emails(events):
        after_commit(sending.give, email_ids)


@receiver(registration_requested)
def owe_confirmation(*, registration: Registration, **kwargs: Any) -> None:
    email_id = queue_account_email(
        EmailKind.REGISTRATION,
        address=registration.email,
        language=registration.language,
        registration=registration,
    )
    after_commit(sending.give, [email_id])


@receiver(address_change_requested)
def owe_link_and_notice(*, change: AddressChange, **kwargs: Any) -> None:
    user = change.user
    link_id = queue_account_email(
        EmailKind.ADDRESS_CHANGE,
        address=change.email,
        language=user.language,
        address_change=change,
    )
    notice_id = queue_account_email(
        EmailKind.ADDRESS_CHANGE_NOTICE,
        address=user.email,
        language=user.language,
        recipient=user,
    )
    after_commit(sending.give, [link_id, notice_id])


@receiver(password_reset_requested)
def owe_password_link(*, email: str, language: str, **kwargs: Any) -> None:
    email_id = queue_account_email(EmailKind.PASSWORD_RESET, address=email, language=language)
    after_commit(sending.give, [email_id])
