"""Query parameters of lists: strict filters, and numbered pages of which the last cost no more than the first."""

import re
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.utils.translation import gettext as _
from django_filters import CharFilter, NumberFilter, TypedChoiceFilter
from django_filters.rest_framework import FilterSet
from drf_spectacular.utils import extend_schema_field
from rest_framework.exceptions import NotFound
from rest_framework.pagination import PageNumberPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import remove_query_param, replace_query_param

from helpdesk.core.fields import DIGITS, ID_SCHEMA, MAXIMUM_ID, NO_NUL
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
        *,
        count: int | None = None,
        read: Callable[..., QuerySet[Any]] | None = None,
    ) -> QuerySetT:
        """Return the rows of the requested page, in the queryset's order; `count` of the queryset is read unless given.

        `read(offset=, size=)` returns rows of the queryset, by default `window`'s. Raises NotFound for a page that does not exist.
        """
        self.request: Request = request
        self.count = queryset.count() if count is None else count
        self.number = self.number_in(request)
        if self.number > self.last_number:
            raise NotFound(_("Invalid page."))
        read = read or partial(window, queryset, count=self.count)
        rows = read(offset=(self.number - 1) * self.page_size, size=self.page_size)
        page = queryset.model._default_manager.filter(pk__in=rows.values("pk"))  # noqa: SLF001 -- a public name in all but form
        return cast("QuerySetT", page.order_by(*queryset.query.order_by))

    @property
    def last_number(self) -> int:
        return max(1, -(-self.shown_count // self.page_size))

    @property
    def shown_count(self) -> int:
        return self.count

    def number_in(self, request: Request) -> int:
        """Return the number of the requested page; raises NotFound unless it is a number from 1."""
        text = request.query_params.get(self.page_query_param, "1")
        if not PAGE_NUMBER.fullmatch(text) or int(text) == 0:
            raise NotFound(_("Invalid page."))
        return int(text)

    def count_with(self, shown: int) -> int:
        """Return the count, corrected by the number of rows on the page, which are read later than the count.

        A page that is not full is the last. Raises NotFound when all rows of a page but the first were deleted meanwhile.
        """
        before = (self.number - 1) * self.page_size
        if before and not shown:
            raise NotFound(_("Invalid page."))
        return before + shown if shown < self.page_size else max(self.count, before + shown)

    def links(self) -> dict[str, Any]:
        return {
            "count": self.shown_count,
            "next": self.link_to(self.number + 1),
            "previous": self.link_to(self.number - 1),
        }

    def document(self, request: Request, *, count: int, results: bytes) -> bytes:
        """Return the requested page as JSON from results that are JSON already; links keep the parameters of the request."""
        self.request, self.count, self.number = request, count, self.number_in(request)
        return dumps(self.links())[:-1] + b',"results":' + results + b"}"

    def get_paginated_response(self, data: list[Any]) -> Response:
        self.count = self.count_with(len(data))
        return Response(self.links() | {"results": data})

    def get_schema_operation_parameters(self, view: "APIView") -> list[dict[str, Any]]:
        return [
            {
                "name": self.page_query_param,
                "in": "query",
                "required": False,
                "description": f"The number of a page of {self.page_size}, by default 1; 404 after the last.",
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
                    "description": "The number of items on all pages.",
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
    """Return `size` rows from `offset` on of an ordered queryset of `count` rows, read from the nearer end."""
    if offset <= count // 2:
        return queryset[offset : offset + size]
    return queryset.reverse()[max(0, count - offset - size) : count - offset]


class IdFormField(forms.IntegerField):
    """ASCII decimal digits."""

    def to_python(self, value: Any) -> int | None:
        if value not in self.empty_values and not DIGITS.fullmatch(value):
            raise ValidationError(self.error_messages["invalid"], code="invalid")
        return super().to_python(value)


class IdFilter(NumberFilter):  # type: ignore[misc] # an untyped base
    """`?ticket=12`: rows that refer to the row with this id."""

    field_class = IdFormField

    def __init__(self, *, help_text: str, minimum: int = 1, **kwargs: Any) -> None:
        super().__init__(min_value=minimum, max_value=MAXIMUM_ID, help_text=help_text, **kwargs)
        extend_schema_field(ID_SCHEMA | {"minimum": minimum, "description": help_text})(self)


class TextFilter(CharFilter):  # type: ignore[misc] # an untyped base
    """`?search=ink`: text of bounded length."""

    def __init__(self, *, max_length: int, help_text: str, **kwargs: Any) -> None:
        super().__init__(max_length=max_length, help_text=help_text, **kwargs)
        schema = {"type": "string", "maxLength": max_length, "pattern": NO_NUL, "description": help_text}
        extend_schema_field(schema)(self)


@extend_schema_field({"type": "boolean"})
class BooleanFilter(TypedChoiceFilter):  # type: ignore[misc] # an untyped base
    """`?is_active=true` or `false`; django-filter's filter ignores other values."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(choices=[("true", "true"), ("false", "false")], coerce="true".__eq__, **kwargs)


class Filters(FilterSet):  # type: ignore[misc] # an untyped base
    """A FilterSet that builds its form class once instead of for every request."""

    form_classes: ClassVar[dict[type["Filters"], type[forms.Form]]] = {}

    def get_form_class(self) -> type[forms.Form]:
        filters = type(self)
        if filters not in self.form_classes:
            self.form_classes[filters] = super().get_form_class()
        return self.form_classes[filters]
