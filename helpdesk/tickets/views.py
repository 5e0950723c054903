"""Tickets, their comments and their events."""

from collections.abc import Callable
from typing import Any, cast

from django.db.models import Model, QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django_filters.utils import translate_validation
from drf_spectacular.utils import extend_schema
from rest_framework import status, viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle

from helpdesk.core.fields import Filters
from helpdesk.core.idempotency import idempotent
from helpdesk.core.json import dumps
from helpdesk.core.pagination import NumberedPages
from helpdesk.tickets import actions
from helpdesk.tickets.actions import Origin
from helpdesk.tickets.filters import CommentFilter, TicketFilter
from helpdesk.tickets.list_cache import cache_key, get_or_compute_count, get_or_compute_page
from helpdesk.tickets.models import Comment, EventSource, Ticket, TicketEvent
from helpdesk.tickets.permissions import OnlyAgentsChangeTickets
from helpdesk.tickets.serializers import (
    COMMENT_COLUMNS,
    COMMENTS_SHOWN,
    EVENT_COLUMNS,
    TICKET_COLUMNS,
    USER_COLUMNS,
    CommentSerializer,
    NewCommentSerializer,
    NewTicketSerializer,
    Row,
    TicketChangesSerializer,
    TicketDetailSerializer,
    TicketEventSerializer,
    TicketSerializer,
    comment_item,
    event_item,
    ticket_detail,
    ticket_item,
)
from helpdesk.tickets.throttles import NewCommentThrottle, NewTicketThrottle
from helpdesk.users.authentication import current_user
from helpdesk.users.models import User


def columns_of(user: User, relation: str) -> dict[str, Any]:
    """Return the columns that a query would join for a user who is at hand."""
    return {f"{relation}__{column}": getattr(user, column) for column in USER_COLUMNS}


class CountedOncePages(NumberedPages):
    """Counts a filtered list once for all of its pages and orders."""

    count_key: str

    def count_of(self, queryset: QuerySet[Any]) -> int:
        return get_or_compute_count(current_user(self.request), self.count_key, queryset.count)


class CachedListViewSet(viewsets.GenericViewSet[Model]):
    """Lists from the cache; a page that is not there is read as plain rows and stored as bytes."""

    pagination_class = CountedOncePages
    lookup_value_regex = "[0-9]{1,18}"
    creation_throttle: type[BaseThrottle]
    filterset_class: type[Filters]
    columns: list[str]
    item: Callable[[Row], dict[str, Any]]

    def get_throttles(self) -> list[BaseThrottle]:
        throttles = super().get_throttles()
        return [*throttles, self.creation_throttle()] if self.action == "create" else throttles

    def list(self, request: Request) -> HttpResponse:
        filters, pages = self.validated_filters(), self.pagination_class()
        values = filters.form.cleaned_data if filters else {}
        pages.count_key = cache_key(self.basename, {**values, "ordering": None})
        key = cache_key(self.basename, {**values, "page": pages.number_in(request)})
        page = get_or_compute_page(current_user(request), key, lambda: self.page(pages, filters))
        count, results = page.split(b"\n", 1)
        return HttpResponse(
            pages.document(request, count=int(count), results=results),
            content_type="application/json",
            headers={"Cache-Control": "private, no-cache"},
        )

    def page(self, pages: CountedOncePages, filters: Filters | None) -> bytes:
        """Return the list's count on one line, and the asked page's items as JSON on the next."""
        rows = pages.paginate_queryset(filters.qs if filters else self.get_queryset(), self.request)
        items = [self.item(row) for row in rows.values(*self.columns)]
        return b"%d\n%b" % (pages.envelope(items)["count"], dumps(items))

    def validated_filters(self) -> Filters | None:
        """Return the filters of the request, None without any: to read them has a cost. Raises ValidationError."""
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
    permission_classes = [IsAuthenticated, OnlyAgentsChangeTickets]
    filterset_class = TicketFilter
    creation_throttle = NewTicketThrottle
    columns = TICKET_COLUMNS
    item = staticmethod(ticket_item)

    def get_queryset(self) -> QuerySet[Ticket]:
        return Ticket.objects.visible_to(current_user(self.request)).order_by("-created_at", "-id")

    def get_serializer_class(self) -> type:
        return {
            "list": TicketSerializer,
            "create": NewTicketSerializer,
            "update": TicketChangesSerializer,
            "partial_update": TicketChangesSerializer,
        }.get(self.action, TicketDetailSerializer)

    @extend_schema(responses={200: TicketSerializer(many=True)})
    def list(self, request: Request) -> HttpResponse:
        """Tickets, newest first: all of them for an agent, their own for a customer."""
        return super().list(request)

    @extend_schema(responses={201: TicketDetailSerializer})
    @idempotent
    def create(self, request: Request) -> Response:
        """Open a ticket of one's own. Customers may do so a number of times an hour."""
        ticket = actions.create_ticket(self.origin, **self.valid_input())
        row = vars(ticket) | columns_of(self.origin.actor, "created_by") | {"assigned_to__id": None}
        return Response(ticket_detail(row, comments=()), status=status.HTTP_201_CREATED)

    @extend_schema(responses={200: TicketDetailSerializer})
    def retrieve(self, request: Request, pk: int) -> Response:
        """A ticket with its description and its newest 200 comments, oldest first."""
        return Response(self.full_ticket())

    @extend_schema(request=TicketChangesSerializer, responses={200: TicketDetailSerializer})
    def update(self, request: Request, pk: int, *, partial: bool = False) -> Response:
        """Change a ticket (agents); like PATCH, it leaves alone what the body leaves out."""
        return self.partial_update(request, pk)

    @extend_schema(request=TicketChangesSerializer, responses={200: TicketDetailSerializer})
    def partial_update(self, request: Request, pk: int) -> Response:
        """Change a ticket's status, priority, title, description or assignee (agents)."""
        try:
            actions.update_ticket(self.origin, int(pk), changes=self.valid_input(partial=True))
        except Ticket.DoesNotExist:
            raise Http404 from None
        return Response(self.full_ticket())

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: int) -> Response:
        """Delete a ticket and its comments (agents); its history stays."""
        try:
            actions.delete_ticket(self.origin, int(pk))
        except Ticket.DoesNotExist:
            raise Http404 from None
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(responses={200: TicketEventSerializer(many=True)})
    @action(detail=True, filterset_class=None, pagination_class=NumberedPages)
    def events(self, request: Request, pk: int) -> Response:
        """What happened to a ticket, oldest first."""
        self.row_or_404(self.get_queryset(), "pk")
        pages = NumberedPages()
        rows = pages.paginate_queryset(TicketEvent.objects.filter(ticket_id=pk).order_by("id"), request)
        return pages.get_paginated_response([event_item(row) for row in rows.values(*EVENT_COLUMNS)])

    def full_ticket(self) -> dict[str, Any]:
        ticket = self.row_or_404(self.get_queryset(), *TICKET_COLUMNS, "description")
        comments = newest_comments(ticket)
        older = None
        if ticket["comments_count"] > len(comments):
            older = self.request.build_absolute_uri(f"{reverse('comment-list')}?ticket={ticket['id']}")
        return ticket_detail(ticket, comments, older_comments=older)


def newest_comments(ticket: Row) -> list[Row]:
    """Return the newest COMMENTS_SHOWN of the comments that a row of TICKET_COLUMNS counts, oldest first.

    They are read after the row: those added meanwhile, which only a newer count includes, are left out. A ticket that
    was deleted meanwhile is 404.
    """
    if not ticket["comments_count"]:
        return []
    comments = Comment.objects.filter(ticket_id=ticket["id"]).order_by("-id")
    rows: list[Row] = list(comments.values(*COMMENT_COLUMNS, "ticket__comments_count")[:COMMENTS_SHOWN])
    if not rows:
        raise Http404
    added = rows[0]["ticket__comments_count"] - ticket["comments_count"]
    return rows[added:][::-1]


class CommentViewSet(CachedListViewSet):
    queryset = Comment.objects.none()
    filterset_class = CommentFilter
    creation_throttle = NewCommentThrottle
    columns = COMMENT_COLUMNS
    item = staticmethod(comment_item)

    def get_queryset(self) -> QuerySet[Comment]:
        return Comment.objects.visible_to(current_user(self.request)).order_by("id")

    def get_serializer_class(self) -> type:
        return NewCommentSerializer if self.action == "create" else CommentSerializer

    @extend_schema(responses={200: CommentSerializer(many=True)})
    def list(self, request: Request) -> HttpResponse:
        """Comments, oldest first, on the tickets that the caller may see."""
        return super().list(request)

    @extend_schema(responses={201: CommentSerializer})
    @idempotent
    def create(self, request: Request) -> Response:
        """Comment on a ticket that the caller may see. Customers may do so a number of times an hour."""
        ticket_id, content = self.valid_input().values()
        try:
            comment = actions.add_comment(self.origin, ticket_id, content=content)
        except Ticket.DoesNotExist:
            raise ValidationError({"ticket": [_("There is no ticket %d.") % ticket_id]}, "does_not_exist") from None
        row = vars(comment) | columns_of(self.origin.actor, "author")
        return Response(comment_item(row), status=status.HTTP_201_CREATED)

    @extend_schema(responses={200: CommentSerializer})
    def retrieve(self, request: Request, pk: int) -> Response:
        """One comment."""
        return Response(comment_item(self.row_or_404(self.get_queryset(), *COMMENT_COLUMNS)))
