"""Numbered pages whose deep ends cost no more than the first."""

import re
from typing import TYPE_CHECKING, Any, TypeVar, cast

from django.db.models import Model, QuerySet
from django.utils.translation import gettext as _
from rest_framework.exceptions import NotFound
from rest_framework.pagination import PageNumberPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import remove_query_param, replace_query_param

from helpdesk.core.json import dumps

if TYPE_CHECKING:
    from rest_framework.views import APIView

ModelT = TypeVar("ModelT", bound=Model)
QuerySetT = TypeVar("QuerySetT", bound=QuerySet[Any])

PAGE_NUMBER = re.compile(r"[0-9]{1,18}")


class NumberedPages(PageNumberPagination):
    """`?page=` from 1, 20 rows a page; a page that does not exist is 404."""

    page_size = 20

    def paginate_queryset(  # type: ignore[override] # a queryset is a sequence, and the view may still choose its columns
        self,
        queryset: QuerySetT,
        request: Request,
        view: "APIView | None" = None,
    ) -> QuerySetT:
        """Return the rows of the asked page, in the queryset's own order."""
        self.request: Request = request
        self.count = self.count_of(queryset)
        self.number = self.asked_number()
        rows = window(queryset, offset=(self.number - 1) * self.page_size, size=self.page_size, count=self.count)
        page = queryset.model._default_manager.filter(pk__in=rows.values("pk"))  # noqa: SLF001 -- a public name in all but form
        return cast("QuerySetT", page.order_by(*queryset.query.order_by))

    def count_of(self, queryset: QuerySet[ModelT]) -> int:
        return queryset.count()

    @property
    def last_number(self) -> int:
        return max(1, -(-self.count // self.page_size))

    def asked_number(self) -> int:
        number = self.number_in(self.request)
        if number > self.last_number:
            raise NotFound(_("Invalid page."))
        return number

    def number_in(self, request: Request) -> int:
        """Return the number of the page that a request asks for; raises NotFound for what is no number from 1."""
        text = request.query_params.get(self.page_query_param, "1")
        if not PAGE_NUMBER.fullmatch(text) or int(text) == 0:
            raise NotFound(_("Invalid page."))
        return int(text)

    def count_with(self, shown: int) -> int:
        """Return the count, corrected by how many rows the page shows: they are read later, when others may have written.

        A page that is not full is the last one. Raises NotFound for a page past the first whose rows are all gone.
        """
        before = (self.number - 1) * self.page_size
        if before and not shown:
            raise NotFound(_("Invalid page."))
        return before + shown if shown < self.page_size else max(self.count, before + shown)

    def envelope(self, results: list[Any]) -> dict[str, Any]:
        self.count = self.count_with(len(results))
        return self.links() | {"results": results}

    def links(self) -> dict[str, Any]:
        return {
            "count": self.count,
            "next": self.link_to(self.number + 1),
            "previous": self.link_to(self.number - 1),
        }

    def document(self, request: Request, *, count: int, results: bytes) -> bytes:
        """Return the asked page as JSON, with links as the request spells its address, around JSON results."""
        self.request, self.count, self.number = request, count, self.number_in(request)
        return dumps(self.links())[:-1] + b',"results":' + results + b"}"

    def get_paginated_response(self, data: list[Any]) -> Response:
        return Response(self.envelope(data))

    def get_schema_operation_parameters(self, view: "APIView") -> list[dict[str, Any]]:
        return [
            {
                "name": self.page_query_param,
                "in": "query",
                "required": False,
                "description": f"A page of {self.page_size}, the first unless said otherwise; 404 past the last.",
                "schema": {"type": "integer", "minimum": 1},
            }
        ]

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        link = {"type": "string", "nullable": True, "format": "uri", "example": None}
        return {
            "type": "object",
            "required": ["count", "next", "previous", "results"],
            "properties": {
                "count": {
                    "type": "integer",
                    "minimum": 0,
                    "example": 1,
                    "description": "How many there are on all pages.",
                },
                "next": link | {"description": "The next page; null on the last."},
                "previous": link | {"description": "The page before; null on the first."},
                "results": schema,
            },
        }

    def link_to(self, number: int) -> str | None:
        if not 1 <= number <= self.last_number:
            return None
        url = self.request.build_absolute_uri()
        if number == 1:
            return remove_query_param(url, self.page_query_param)
        return replace_query_param(url, self.page_query_param, number)


def window(queryset: QuerySet[ModelT], *, offset: int, size: int, count: int) -> QuerySet[ModelT]:
    """Return `size` rows from `offset` on, reached from the nearer end of an ordered queryset of `count` rows."""
    if offset <= count // 2:
        return queryset[offset : offset + size]
    return queryset.reverse()[max(0, count - offset - size) : count - offset]
