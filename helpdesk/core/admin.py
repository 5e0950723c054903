"""Lists in the admin that stay fast and honest over millions of rows, and the fields of its forms."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import FieldListFilter, helpers
from django.contrib.admin.utils import get_fields_from_path
from django.contrib.admin.views.main import PAGE_VAR
from django.core.exceptions import BadRequest, ObjectDoesNotExist, ValidationError
from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.functional import cached_property
from django.utils.translation import gettext

from helpdesk.core.text import validate_visible

ROWS_COUNTED_AHEAD = 10_000
LAST_PAGE = 1_000_000


class LargeTablePaginator(Paginator[Any]):
    """Counts at most ROWS_COUNTED_AHEAD rows from the asked page on; `is_partial` says that there are more."""

    object_list: QuerySet[Any]

    def __init__(self, queryset: QuerySet[Any], per_page: int, *, asked_page: int) -> None:
        super().__init__(queryset, per_page)
        self.limit = (asked_page - 1) * self.per_page + ROWS_COUNTED_AHEAD

    @cached_property
    def counted(self) -> int:
        return self.object_list.order_by()[: self.limit + 1].count()

    @cached_property
    def count(self) -> int:
        return min(self.counted, self.limit)

    @property
    def is_partial(self) -> bool:
        return self.counted > self.limit

    def page(self, number: int | str) -> Page[Any]:
        number = self.validate_number(number)
        start = (number - 1) * self.per_page
        # The rows before the page are skipped in an index, without what the list joins to each.
        keys = list(self.object_list.values_list("pk", flat=True)[start : start + self.per_page])
        return Page(self.object_list.filter(pk__in=keys), number, self)


class LargeTableAdmin(admin.ModelAdmin[Any]):
    """Never counts or changes a whole table; actions are for the rows that were ticked."""

    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER

    def get_paginator(
        self,
        request: HttpRequest,
        queryset: QuerySet[Any],
        per_page: int,
        orphans: int = 0,
        allow_empty_first_page: bool = True,  # noqa: FBT001, FBT002 -- Django's signature
    ) -> LargeTablePaginator:
        return LargeTablePaginator(queryset, per_page, asked_page=asked_page_of(request))

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Allow the parameters of the list's filters; Django allows every lookup of the model's own columns."""
        return any(lookup in parameters_of(item, self, request) for item in self.get_list_filter(request))

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Refuse what no browser sends, and Django would hand to PostgreSQL."""
        ticked = request.POST.getlist(helpers.ACTION_CHECKBOX_NAME)
        refuse_nul(request)
        if not all(key.isdecimal() for key in ticked):
            raise BadRequest
        return super().changelist_view(request, extra_context)

    def response_action(
        self, request: HttpRequest, queryset: QuerySet[Any], *args: Any, **kwargs: Any
    ) -> HttpResponse | None:
        posted = request.POST.copy()
        posted["select_across"] = "0"
        request.POST = posted  # type: ignore[assignment] # as Django does itself
        return super().response_action(request, queryset, *args, **kwargs)


class ChangedFieldsAdmin(LargeTableAdmin):
    """Pages whose form says what was changed in it, for an action that writes that alone.

    A form comes back with the values that it was opened with, so that what a colleague changed meanwhile stays.
    """

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        return super().formfield_for_dbfield(db_field, request, show_hidden_initial=True, **kwargs)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Answer what an action refuses with its reason; the transaction is rolled back by then."""
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except ValidationError as error:
            self.message_user(request, " ".join(error.messages), messages.ERROR)
            return redirect(request.get_full_path())
        except ObjectDoesNotExist:
            text = gettext("Somebody has deleted the %(kind)s.") % {"kind": self.opts.verbose_name}
            self.message_user(request, text, messages.ERROR)
            return redirect(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")


class ReadOnlyAdmin(LargeTableAdmin):
    """Shows rows; nobody adds, changes or deletes one here."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class VisibleField(forms.CharField):
    """Text of which something can be seen."""

    default_validators = [*forms.CharField.default_validators, validate_visible]


class LinesField(VisibleField):
    """Several lines of text, ended as the API stores them; browsers send a carriage return as well."""

    def to_python(self, value: Any) -> str:
        return str(super().to_python(value)).replace("\r\n", "\n")


def parameters_of(list_filter: Any, model_admin: LargeTableAdmin, request: HttpRequest) -> list[str | None]:
    """Return the parameters in the query string of an item of `list_filter`: a field's name or a SimpleListFilter."""
    if not isinstance(list_filter, str):
        return [list_filter.parameter_name]
    field = get_fields_from_path(model_admin.model, list_filter)[-1]
    shown = FieldListFilter.create(field, request, {}, model_admin.model, model_admin, field_path=list_filter)
    return shown.expected_parameters()


def refuse_nul(request: HttpRequest) -> None:
    """Raise BadRequest for NUL in the query string, which PostgreSQL takes in no text."""
    if any("\0" in value for _name, values in request.GET.lists() for value in values):
        raise BadRequest


def asked_page_of(request: HttpRequest) -> int:
    try:
        return min(max(1, int(request.GET.get(PAGE_VAR, "1"))), LAST_PAGE)
    except ValueError:
        return 1
