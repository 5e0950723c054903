import factory

from helpdesk.tickets import search_index
from helpdesk.tickets.actions import Origin
from helpdesk.tickets.models import Comment, EventSource, Ticket
from helpdesk.users.tests.factories import UserFactory


def by(user):
    """Return the origin of what a user does through the API."""
    return Origin(user, EventSource.API)


class TicketFactory(factory.django.DjangoModelFactory[Ticket]):
    """A ticket that search finds; it has no events."""

    title = factory.Sequence(lambda n: f"Printer {n} does not print")
    description = "It only blinks."
    created_by = factory.SubFactory(UserFactory)

    class Meta:
        model = Ticket
        skip_postgeneration_save = True

    class Params:
        assigned = factory.Trait(assigned_to=factory.SubFactory(UserFactory, agent=True))

    @factory.post_generation
    def searchable(self, create, extracted, **kwargs):
        search_index.replace_words(self)


class CommentFactory(factory.django.DjangoModelFactory[Comment]):
    """A comment as a plain row; the ticket's counters are the actions' business."""

    ticket = factory.SubFactory(TicketFactory)
    author = factory.SubFactory(UserFactory)
    content = "Have you tried turning it off and on again?"

    class Meta:
        model = Comment
