"""Input fields and filters that take what their schema says and nothing else."""

from typing import Any

from django import forms
from django_filters import NumberFilter
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

MAXIMUM_ID = 2**63 - 1


class TextField(serializers.CharField):
    """A JSON string; unlike DRF's, a number is not one."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class IdField(serializers.IntegerField):
    """The id of a row: a JSON integer, or its decimal digits."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_value=1, max_value=MAXIMUM_ID, **kwargs)

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool | float):
            self.fail("invalid")
        return super().to_internal_value(data)


@extend_schema_field({"type": "integer", "format": "int64", "minimum": 1, "maximum": MAXIMUM_ID})
class IdFilter(NumberFilter):  # type: ignore[misc] # an untyped base
    """`?ticket=12`: rows that refer to the row with that id."""

    field_class = forms.IntegerField

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_value=1, max_value=MAXIMUM_ID, **kwargs)
