"""Query parameters that filter and order lists."""

from functools import cached_property

from django.db.models import QuerySet
from django_filters.constants import EMPTY_VALUES
from django_filters.rest_framework import ChoiceFilter

from helpdesk.core.lists import Filters, IdFilter, TextFilter
from helpdesk.tickets.models import PRIORITY_NAMES, Comment, Priority, Status, Ticket, TicketCount
from helpdesk.tickets.search import MAXIMUM_QUERY_LENGTH, MAXIMUM_QUERY_WORDS, TICKET_NUMBER, build_tsquery
from helpdesk.tickets.search_index import fold
from helpdesk.tickets.search_results import SearchResults

# Filters by the columns of TicketCount.
COUNTED_FILTERS = {"status", "priority", "assigned_to"}
ORDERINGS = {
    "created_at": "Oldest first.",
    "-created_at": "Newest first (the default).",
    "updated_at": "Least recently updated first.",
    "-updated_at": "Most recently updated first.",
    "priority": "Least urgent first.",
    "-priority": "Most urgent first.",
}


class TicketFilter(Filters):
    """`qs` leaves out the words of a search; `search_results` applies them."""

    status = ChoiceFilter(choices=Status.choices)
    priority = ChoiceFilter(choices=PRIORITY_NAMES, method="with_priority")
    assigned_to = IdFilter(field_name="assigned_to_id", help_text="The id of an agent.")
    search = TextFilter(
        method="with_number",
        max_length=MAXIMUM_QUERY_LENGTH,
        help_text="Words or parts of words in the title, description or comments (at most the "
        f"{MAXIMUM_QUERY_WORDS} longest are used), or #12 for ticket 12.",
    )
    ordering = ChoiceFilter(choices=list(ORDERINGS.items()), method="in_order")

    class Meta:
        model = Ticket
        fields = ["status"]

    def counts(self) -> QuerySet[TicketCount] | None:
        """Return the rows that count the tickets of an agent's list; None if it is filtered by anything that they do not have."""
        counts = TicketCount.objects.all()
        for name, value in self.form.cleaned_data.items():
            if value in EMPTY_VALUES or name == "ordering":
                continue
            if name not in COUNTED_FILTERS:
                return None
            counts = self.filters[name].filter(counts, value)
        return counts

    def with_priority(self, tickets: QuerySet[Ticket], _name: str, value: str) -> QuerySet[Ticket]:
        return tickets.filter(priority=Priority[value.upper()])

    def with_number(self, tickets: QuerySet[Ticket], _name: str, _text: str) -> QuerySet[Ticket]:
        return tickets if self.searched_number is None else tickets.filter(pk=self.searched_number)

    @cached_property
    def searched_number(self) -> int | None:
        """The number of a search for "#12"."""
        number = TICKET_NUMBER.fullmatch(self.form.cleaned_data["search"].strip())
        return int(number[1]) if number else None

    @cached_property
    def searched_words(self) -> str:
        """The folded text of a search by words; empty without one, and of invisible characters."""
        return fold(self.form.cleaned_data["search"]).strip() if self.searched_number is None else ""

    @cached_property
    def search_results(self) -> SearchResults:
        """What a search by words finds in the list."""
        return SearchResults(self.qs, build_tsquery(self.searched_words))

    def in_order(self, tickets: QuerySet[Ticket], _name: str, value: str) -> QuerySet[Ticket]:
        return tickets.order_by(value, "-id" if value.startswith("-") else "id")


class CommentFilter(Filters):
    ticket = IdFilter(field_name="ticket_id", help_text="The id of a ticket.")

    class Meta:
        model = Comment
        fields = ["ticket"]
