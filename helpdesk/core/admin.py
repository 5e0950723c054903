"""Base classes of the admin: lists over millions of rows, and form fields."""

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
    """Counts at most ROWS_COUNTED_AHEAD rows from the requested page on; `is_partial` if there are more."""

    object_list: QuerySet[Any]

    def __init__(self, queryset: QuerySet[Any], per_page: int, *, requested_page: int) -> None:
        super().__init__(queryset, per_page)
        self.limit = (requested_page - 1) * self.per_page + ROWS_COUNTED_AHEAD

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
        # Rows before the page are skipped in an index, without the joins of the list.
        keys = list(self.object_list.values_list("pk", flat=True)[start : start + self.per_page])
        return Page(self.object_list.filter(pk__in=keys), number, self)


class LargeTableAdmin(admin.ModelAdmin[Any]):
    """Never counts or changes a whole table; actions apply to the selected rows."""

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
        return LargeTablePaginator(queryset, per_page, requested_page=get_page_number(request))

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Allow the parameters of the list's filters only; Django allows any lookup of the model's own columns."""
        return any(lookup in get_parameters(item, self, request) for item in self.get_list_filter(request))

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Reject values that no browser sends and PostgreSQL would fail on."""
        selected = request.POST.getlist(helpers.ACTION_CHECKBOX_NAME)
        refuse_nul(request)
        if not all(key.isdecimal() for key in selected):
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
    """Forms that contain their initial values, so that an action writes the changed fields only.

    Fields that another user has changed in the meantime keep that change.
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
        """Show the error of an action, whose transaction is rolled back, as a message."""
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except ValidationError as error:
            self.message_user(request, " ".join(error.messages), messages.ERROR)
            return redirect(request.get_full_path())
        except ObjectDoesNotExist:
            text = gettext("The %(kind)s has been deleted.") % {"kind": self.opts.verbose_name}
            self.message_user(request, text, messages.ERROR)
            return redirect(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")


class ReadOnlyAdmin(LargeTableAdmin):
    """Shows rows that nobody adds, changes or deletes here."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class VisibleField(forms.CharField):
    """Text with a visible character."""

    default_validators = [*forms.CharField.default_validators, validate_visible]


class LinesField(VisibleField):
    """Text whose lines end in LF, as the API stores them; browsers send CRLF."""

    def to_python(self, value: Any) -> str:
        return str(super().to_python(value)).replace("\r\n", "\n")


def get_parameters(list_filter: Any, model_admin: LargeTableAdmin, request: HttpRequest) -> list[str | None]:
    """Return the query parameters of an item of `list_filter`: the name of a field, or a SimpleListFilter."""
    if not isinstance(list_filter, str):
        return [list_filter.parameter_name]
    field = get_fields_from_path(model_admin.model, list_filter)[-1]
    shown = FieldListFilter.create(field, request, {}, model_admin.model, model_admin, field_path=list_filter)
    return shown.expected_parameters()


def refuse_nul(request: HttpRequest) -> None:
    """Raise BadRequest for NUL in the query string, which PostgreSQL rejects."""
    if any("\0" in value for _name, values in request.GET.lists() for value in values):
        raise BadRequest


def get_page_number(request: HttpRequest) -> int:
    try:
        return min(max(1, int(request.GET.get(PAGE_VAR, "1"))), LAST_PAGE)
    except ValueError:
        return 1
