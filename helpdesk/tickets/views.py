"""Tickets, their comments and their events."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, ClassVar, cast

from django.conf import settings
from django.db.models import Model, QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django_filters.utils import translate_validation
from drf_spectacular.utils import extend_schema
from limits import RateLimitItem
from rest_framework import status, viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle

from helpdesk.core.cached_lists import Entry, read_page_and_count
from helpdesk.core.database import CompiledQuery
from helpdesk.core.idempotency import idempotent
from helpdesk.core.json import dumps
from helpdesk.core.lists import Filters, NumberedPages
from helpdesk.core.throttles import AtomicThrottle, parse_rate
from helpdesk.tickets import actions
from helpdesk.tickets.actions import CALLER, TICKET, Origin
from helpdesk.tickets.counts import sum_counts
from helpdesk.tickets.filters import CommentFilter, TicketFilter
from helpdesk.tickets.models import Comment, EventSource, Ticket, TicketCount, TicketEvent, list_scopes_for
from helpdesk.tickets.permissions import IsAgent
from helpdesk.tickets.search_results import MAXIMUM_RESULTS
from helpdesk.tickets.serializers import (
    COMMENTS_SHOWN,
    CommentSerializer,
    NewCommentSerializer,
    NewTicketSerializer,
    Row,
    RowSerializer,
    TicketChangesSerializer,
    TicketDetailSerializer,
    TicketEventSerializer,
    TicketSerializer,
)
from helpdesk.users.authentication import current_user


class CreationThrottle(AtomicThrottle):
    """Limits the POSTs of a customer; those with an invalid body count, too. Agents have no limit."""

    policy: ClassVar[str]
    setting: ClassVar[str]

    def get_limit(self, request: Request) -> tuple[RateLimitItem | None, str, str]:
        user = current_user(request)
        text = "" if user.is_agent else getattr(settings, self.setting)
        return parse_rate(text), self.policy, str(user.pk)


class NewTicketThrottle(CreationThrottle):
    policy = "tickets"
    setting = "THROTTLE_TICKET_RATE"


class NewCommentThrottle(CreationThrottle):
    policy = "comments"
    setting = "THROTTLE_COMMENT_RATE"


class TicketPages(NumberedPages):
    """Pages of a list, or of the results of a search, which end after MAXIMUM_RESULTS.

    More results are a `count` of MAXIMUM_RESULTS + 1.
    """

    def __init__(self, *, is_search: bool = False) -> None:
        self.is_search = is_search

    @property
    def shown_count(self) -> int:
        return min(self.count, MAXIMUM_RESULTS) if self.is_search else self.count

    def links(self) -> dict[str, Any]:
        return super().links() | {"count_is_exact": self.shown_count == self.count}

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        page = super().get_paginated_response_schema(schema)
        page["required"].append("count_is_exact")
        page["properties"]["count_is_exact"] = {
            "type": "boolean",
            "example": True,
            "description": "False if a search finds more tickets than `count`; the pages end there.",
        }
        return page


class CachedListViewSet(viewsets.GenericViewSet[Model]):
    """Lists from the cache; a page that is not there is read as plain rows and stored as JSON."""

    lookup_value_regex = "[0-9]{1,18}"
    creation_throttle: type[BaseThrottle]
    filterset_class: type[Filters]
    row_serializer: type[RowSerializer[Any]]

    def get_throttles(self) -> list[BaseThrottle]:
        throttles = super().get_throttles()
        return [*throttles, self.creation_throttle()] if self.action == "create" else throttles

    def list(self, request: Request) -> HttpResponse:
        filters = self.validated_filters()
        pages = self.pages_of(filters)
        page, count = read_page_and_count(
            self.basename,
            scopes=list_scopes_for(current_user(request)),
            filters=filters.form.cleaned_data if filters else {},
            page=pages.number_in(request),
        )
        content = page.get_or_compute(lambda: self.compute_page(request, pages, filters, count))
        shown_count, results = content.split(b"\n", 1)
        return HttpResponse(
            pages.document(request, count=int(shown_count), results=results),
            content_type="application/json",
            headers={"Cache-Control": "private, no-cache"},
        )

    def compute_page(self, request: Request, pages: NumberedPages, filters: Filters | None, count: Entry) -> bytes:
        """Return the number of rows on all pages and, on the next line, those of the page as JSON. Raises NotFound."""
        queryset = filters.qs if filters else self.get_queryset()
        total = int(count.value or count.store(b"%d" % self.count(queryset, filters)))
        rows = pages.paginate_queryset(queryset, request, count=total, read=self.reader(filters))
        items = [self.row_serializer.from_row(row) for row in rows.values(*self.row_serializer.columns())]
        return b"%d\n%b" % (pages.count_with(len(items)), dumps(items))

    def count(self, queryset: QuerySet[Any], filters: Any) -> int:
        """Return the number of rows of a filtered queryset."""
        return queryset.count()

    def pages_of(self, filters: Any) -> NumberedPages:
        """Return the pages of a filtered list."""
        return NumberedPages()

    def reader(self, filters: Any) -> Callable[..., QuerySet[Any]] | None:
        """Return the `read` of NumberedPages.paginate_queryset."""
        return None

    def validated_filters(self) -> Filters | None:
        """Return the filters of the request, None without parameters: a form costs time. Raises ValidationError."""
        if self.filterset_class.base_filters.keys().isdisjoint(self.request.query_params):
            return None
        filters = self.filterset_class(self.request.query_params, self.get_queryset(), request=self.request)
        if not filters.is_valid():
            raise translate_validation(filters.errors)
        return filters

    def row_or_404(self, queryset: QuerySet[Any], *columns: str) -> Row:
        return cast("Row", get_object_or_404(queryset.values(*columns), pk=self.kwargs["pk"]))

    def valid_input(self, *, partial: bool = False) -> dict[str, Any]:
        serializer = self.get_serializer(data=self.request.data, partial=partial)
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)

    @property
    def origin(self) -> Origin:
        return Origin(current_user(self.request), EventSource.API)


class TicketViewSet(CachedListViewSet):
    queryset = Ticket.objects.none()
    filterset_class = TicketFilter
    pagination_class = TicketPages
    creation_throttle = NewTicketThrottle
    row_serializer = TicketSerializer

    def get_queryset(self) -> QuerySet[Ticket]:
        return Ticket.objects.visible_to(current_user(self.request)).order_by("-created_at", "-id")

    def pages_of(self, filters: TicketFilter | None) -> TicketPages:
        return TicketPages(is_search=bool(filters and filters.searched_words))

    def reader(self, filters: TicketFilter | None) -> Callable[..., QuerySet[Any]] | None:
        return filters.search_results.page if filters and filters.searched_words else None

    def count(self, queryset: QuerySet[Any], filters: TicketFilter | None) -> int:
        """Return the number of tickets; that of agents, who see all tickets, is counted already for most filters."""
        if filters and filters.searched_words:
            return filters.search_results.count()
        counts = filters.counts() if filters else TicketCount.objects.all()
        if counts is not None and current_user(self.request).is_agent:
            return sum_counts(counts)
        return queryset.count()

    def get_permissions(self) -> Sequence[Any]:
        permissions = super().get_permissions()
        return [*permissions, IsAgent()] if self.action in {"update", "partial_update", "destroy"} else permissions

    def get_serializer_class(self) -> type:
        return {
            "list": TicketSerializer,
            "create": NewTicketSerializer,
            "update": TicketChangesSerializer,
            "partial_update": TicketChangesSerializer,
        }.get(self.action, TicketDetailSerializer)

    @extend_schema(responses={200: TicketSerializer(many=True)})
    def list(self, request: Request) -> HttpResponse:
        """List tickets, newest first: all tickets for agents, their own for customers."""
        return super().list(request)

    @extend_schema(responses={201: TicketDetailSerializer})
    @idempotent
    def create(self, request: Request) -> Response:
        """Create a ticket of the caller. Customers may create a limited number an hour."""
        ticket = actions.create_ticket(self.origin, **self.valid_input())
        answer = TicketDetailSerializer.from_instance(ticket, comments=[], older_comments=None)
        return Response(answer, status=status.HTTP_201_CREATED)

    @extend_schema(responses={200: TicketDetailSerializer})
    def retrieve(self, request: Request, pk: int) -> Response:
        """Get a ticket with its description and its newest 200 comments, oldest first."""
        return Response(self.full_ticket())

    @extend_schema(request=TicketChangesSerializer, responses={200: TicketDetailSerializer})
    def update(self, request: Request, pk: int, *, partial: bool = False) -> Response:
        """Change a ticket (agents only). Like PATCH, it does not change fields that the body leaves out."""
        return self.partial_update(request, pk)

    @extend_schema(request=TicketChangesSerializer, responses={200: TicketDetailSerializer})
    def partial_update(self, request: Request, pk: int) -> Response:
        """Change a ticket's status, priority, title, description or assignee (agents only)."""
        try:
            actions.update_ticket(self.origin, int(pk), changes=self.valid_input(partial=True))
        except Ticket.DoesNotExist:
            raise Http404 from None
        return Response(self.full_ticket())

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: int) -> Response:
        """Delete a ticket and its comments (agents only). Its events are kept."""
        try:
            actions.delete_ticket(self.origin, int(pk))
        except Ticket.DoesNotExist:
            raise Http404 from None
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(responses={200: TicketEventSerializer(many=True)})
    @action(detail=True, filterset_class=None, pagination_class=NumberedPages)
    def events(self, request: Request, pk: int) -> Response:
        """List a ticket's events, oldest first."""
        self.row_or_404(self.get_queryset(), "pk")
        pages = NumberedPages()
        rows = pages.paginate_queryset(TicketEvent.objects.filter(ticket_id=pk).order_by("id"), request)
        columns = TicketEventSerializer.columns()
        return pages.get_paginated_response([TicketEventSerializer.from_row(row) for row in rows.values(*columns)])

    def full_ticket(self) -> dict[str, Any]:
        user = current_user(self.request)
        rows = compile_ticket(user.role).fetch_rows({CALLER: user.pk, TICKET: int(self.kwargs["pk"])})
        if not rows:
            raise Http404
        ticket = rows[0]
        comments = newest_comments(ticket)
        older = None
        if ticket["comments_count"] > len(comments):
            older = self.request.build_absolute_uri(f"{reverse('comment-list')}?ticket={ticket['id']}")
        return TicketDetailSerializer.from_row(
            ticket,
            comments=[CommentSerializer.from_row(comment) for comment in comments],
            older_comments=older,
        )


@cache
def compile_ticket(role: str) -> CompiledQuery:
    return CompiledQuery(actions.visible_ticket(role).values(*TicketDetailSerializer.columns()))


@cache
def compile_newest_comments() -> CompiledQuery:
    comments = Comment.objects.filter(ticket_id=TICKET).order_by("-id")
    return CompiledQuery(comments.values(*CommentSerializer.columns(), "ticket__comments_count")[:COMMENTS_SHOWN])


def newest_comments(ticket: Row) -> list[dict[str, Any]]:
    """Return the newest COMMENTS_SHOWN of the comments that a ticket's row counts, oldest first.

    Comments added since the row was read are left out. Raises Http404 when the ticket was deleted since.
    """
    if not ticket["comments_count"]:
        return []
    rows = compile_newest_comments().fetch_rows({TICKET: ticket["id"]})
    if not rows:
        raise Http404
    added = rows[0]["ticket__comments_count"] - ticket["comments_count"]
    return rows[added:][::-1]


class CommentViewSet(CachedListViewSet):
    queryset = Comment.objects.none()
    filterset_class = CommentFilter
    creation_throttle = NewCommentThrottle
    row_serializer = CommentSerializer

    def get_queryset(self) -> QuerySet[Comment]:
        return Comment.objects.visible_to(current_user(self.request)).order_by("id")

    def get_serializer_class(self) -> type:
        return NewCommentSerializer if self.action == "create" else CommentSerializer

    @extend_schema(responses={200: CommentSerializer(many=True)})
    def list(self, request: Request) -> HttpResponse:
        """List the comments on tickets that the caller may see, oldest first."""
        return super().list(request)

    @extend_schema(responses={201: CommentSerializer})
    @idempotent
    def create(self, request: Request) -> Response:
        """Comment on a ticket that the caller may see. Customers may create a limited number of comments an hour."""
        body = self.valid_input()
        try:
            comment = actions.add_comment(self.origin, body["ticket"], content=body["content"])
        except Ticket.DoesNotExist:
            message = _("There is no ticket %d.") % body["ticket"]
            raise ValidationError({"ticket": [message]}, "does_not_exist") from None
        return Response(CommentSerializer.from_instance(comment), status=status.HTTP_201_CREATED)

    @extend_schema(responses={200: CommentSerializer})
    def retrieve(self, request: Request, pk: int) -> Response:
        """Get a comment."""
        row = self.row_or_404(self.get_queryset(), *CommentSerializer.columns())
        return Response(CommentSerializer.from_row(row))
