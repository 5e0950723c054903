import factory

from helpdesk.emails.models import Email, EmailKind
from helpdesk.tickets.models import EventKind, EventSource, TicketEvent
from helpdesk.tickets.tests.factories import TicketFactory
from helpdesk.users.tests.factories import UserFactory


class StatusEventFactory(factory.django.DjangoModelFactory[TicketEvent]):
    """A status change that is not announced yet."""

    ticket = factory.SubFactory(TicketFactory)
    kind = EventKind.STATUS_CHANGED
    actor = factory.SubFactory(UserFactory, agent=True)
    source = EventSource.API
    old = "open"
    new = "resolved"

    class Meta:
        model = TicketEvent


class EmailFactory(factory.django.DjangoModelFactory[Email]):
    """A due e-mail to a ticket's creator about its status."""

    event = factory.SubFactory(StatusEventFactory)
    kind = EmailKind.STATUS_CHANGED
    recipient = factory.LazyAttribute(lambda email: email.event.ticket.created_by)
    address = factory.LazyAttribute(lambda email: email.recipient.email)
    language = factory.LazyAttribute(lambda email: email.recipient.language)
    subject = factory.LazyAttribute(lambda email: f"[Ticket #{email.event.ticket_id}] Status Updated")

    class Meta:
        model = Email
