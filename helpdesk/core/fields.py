"""Input fields that take what their schema says and nothing else."""

from typing import Any

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
