"""The tickets of a list that a search finds: counted up to MAXIMUM_RESULTS, and read page by page.

There are two ways to them. Where many tickets match, the list is read in its order, and each ticket's search document is
looked at, until there are enough. Where few do, the inverted index of the documents has their ids. PostgreSQL cannot choose:
it plans a prepared statement without knowing the words. So each statement here allows one way only, and the first tickets of
the list, a sample, tell which one is used. Reading in order is bounded; where it finds too little, the index is used.
"""

import json
from functools import cached_property
from typing import Any, NamedTuple

from django.contrib.postgres.expressions import ArraySubquery
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.search import SearchVectorField
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import (
    BigAutoField,
    BigIntegerField,
    BooleanField,
    F,
    Lookup,
    OuterRef,
    QuerySet,
    Subquery,
    Value,
)
from django.db.models.sql.compiler import SQLCompiler

from helpdesk.tickets.models import SearchDocument, Ticket

MAXIMUM_RESULTS = 1000
# Results of the index that are sorted; of more, those of a page are found sooner by reading the list.
MAXIMUM_SORTED = 2000
SAMPLE_SIZE = 500
# If fewer of the sample match, the index finds MAXIMUM_RESULTS sooner than reading the list does.
MINIMUM_SAMPLE_MATCHES = 25
# Tickets that are read in the order of a list before the index is used instead: where matches are rare or all at the end.
MAXIMUM_TICKETS_READ = 40_000


@SearchVectorField.register_lookup
class Matches(Lookup):
    """`words__matches="'ink' & 'printer'"`: a tsquery taken as it stands, which the planner does not see."""

    lookup_name = "matches"
    prepare_rhs = False
    output_field = BooleanField()

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> tuple[str, tuple[Any, ...]]:
        words, words_params = self.process_lhs(compiler, connection)
        query, query_params = self.process_rhs(compiler, connection)
        return f"{words} @@ (SELECT {query}::tsquery)", (*words_params, *query_params)


@BigAutoField.register_lookup
class AnyOf(Lookup):
    """`pk__any_of=` an array that the planner does not see: it uses the primary key, and never reads a list in its order."""

    lookup_name = "any_of"
    prepare_rhs = False

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> tuple[str, tuple[Any, ...]]:
        column, column_params = self.process_lhs(compiler, connection)
        ids, ids_params = self.process_rhs(compiler, connection)
        return f"{column} = ANY((SELECT {ids})::bigint[])", (*column_params, *ids_params)


class Found(NamedTuple):
    """The ids of all tickets found, or of enough of them; in the order of the list, or in none."""

    ids: list[int]
    is_ordered: bool


class SearchResults:
    """The tickets of an ordered list whose search documents match a tsquery; none if that is empty."""

    def __init__(self, tickets: QuerySet[Ticket], tsquery: str) -> None:
        self.tickets = tickets
        self.tsquery = tsquery

    def count(self) -> int:
        """Return the number of results; MAXIMUM_RESULTS + 1 if there are more."""
        return min(len(self.found.ids), MAXIMUM_RESULTS + 1)

    def page(self, *, offset: int, size: int) -> QuerySet[Ticket]:
        """Return `size` results from `offset` on in the order of the list, none of them after the first MAXIMUM_RESULTS."""
        ids, is_ordered = self.found
        if not ids:
            return self.tickets.none()
        if is_ordered:
            return self.tickets.filter(pk__any_of=array(ids[offset : offset + size]))
        if len(ids) <= MAXIMUM_SORTED:
            return self.tickets.filter(pk__any_of=array(ids))[offset : offset + size]
        expected_reads = (offset + size) * SAMPLE_SIZE / max(1, self.matches_in_sample)
        if expected_reads <= MAXIMUM_TICKETS_READ:
            ids = self.read_in_order(offset + size)
            if len(ids) == offset + size:
                return self.tickets.filter(pk__any_of=array(ids[offset:]))
        return self.tickets.filter(pk__any_of=ArraySubquery(self.documents()))[offset : offset + size]

    @cached_property
    def found(self) -> Found:
        """The results: all if they are few, otherwise the first MAXIMUM_RESULTS + 1 in order or MAXIMUM_SORTED + 1 in none."""
        if not self.tsquery:
            return Found([], is_ordered=True)
        if len(self.sample) < SAMPLE_SIZE:
            return Found([ticket_id for ticket_id, matches in self.sample if matches], is_ordered=True)
        if self.matches_in_sample >= MINIMUM_SAMPLE_MATCHES or self.is_short():
            ids = self.read_in_order(MAXIMUM_RESULTS + 1)
            if len(ids) > MAXIMUM_RESULTS or not self.tickets[MAXIMUM_TICKETS_READ:].exists():
                return Found(ids, is_ordered=True)
        documents = self.documents().filter(self.is_listed()) if self.tickets.query.where else self.documents()
        return Found(list(documents[: MAXIMUM_SORTED + 1]), is_ordered=False)

    def is_short(self) -> bool:
        """Return whether the list is filtered so that reading it costs less than the many documents that match."""
        if not self.tickets.query.where or len(self.documents()[: MAXIMUM_SORTED + 1]) <= MAXIMUM_SORTED:
            return False
        [plan] = json.loads(self.tickets.order_by().explain(format="json"))
        return bool(plan["Plan"]["Plan Rows"] <= MAXIMUM_TICKETS_READ)

    @cached_property
    def sample(self) -> list[tuple[int, bool]]:
        """The first tickets of the list: the id of each, and whether it is a result."""
        return list(self.with_matches()[:SAMPLE_SIZE])

    @property
    def matches_in_sample(self) -> int:
        return sum(1 for _ticket_id, matches in self.sample if matches)

    def read_in_order(self, maximum: int) -> list[int]:
        """Return the ids of the first results, among the first MAXIMUM_TICKETS_READ tickets of the list."""
        read, parameters = self.with_matches()[:MAXIMUM_TICKETS_READ].query.sql_with_params()
        statement = f"SELECT id FROM ({read}) AS read (id, matches) WHERE matches LIMIT {maximum}"  # noqa: S608 -- a number
        with connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return [ticket_id for (ticket_id,) in cursor]

    def with_matches(self) -> QuerySet[Any, Any]:
        """Return the id of each ticket, and whether its search document matches."""
        document = SearchDocument.objects.filter(pk=OuterRef("pk"))
        matches = Subquery(document.values(matches=Matches(F("words"), self.tsquery)))
        return self.tickets.values_list("pk", matches)

    def documents(self) -> QuerySet[Any, Any]:
        """Return the ids of all tickets that match, whether they are in the list or not."""
        return SearchDocument.objects.filter(words__matches=self.tsquery).values_list("pk", flat=True)

    def is_listed(self) -> Subquery:
        """Return whether the ticket of a document is in the list; unlike Exists, PostgreSQL does not make it a join."""
        ticket = self.tickets.order_by().filter(pk=OuterRef("pk"))
        return Subquery(ticket.values(is_listed=Value(value=True)), output_field=BooleanField())


def array(ids: list[int]) -> Value:
    return Value(ids, output_field=ArrayField(BigIntegerField()))
