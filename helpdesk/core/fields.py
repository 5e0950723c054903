"""Strict input fields: they accept exactly what the OpenAPI schema says."""

import re
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

from helpdesk.core.text import (
    NOT_BLANK_PATTERN,
    ONE_LINE_OR_BLANK_PATTERN,
    ONE_LINE_PATTERN,
    VISIBLE_CHARACTER,
    validate_one_line,
    validate_visible,
)

MAXIMUM_ID = 2**63 - 1
ID_SCHEMA = {"type": "integer", "format": "int64", "minimum": 1, "maximum": MAXIMUM_ID}

NO_NUL = r"^[^\u0000]*$"
DIGITS = re.compile(r"[0-9]{1,19}")
# Otherwise the response to a large body would be many times as large.
UNKNOWN_NAMES_SHOWN = 10


class TextField(serializers.CharField):
    """A JSON string; DRF's field also accepts numbers. `pattern` describes the validators in the schema."""

    def __init__(self, *, pattern: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pattern = pattern or (NO_NUL if self.allow_blank or not self.trim_whitespace else NOT_BLANK_PATTERN)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        # The length before trimming, as in the schema.
        if self.max_length is not None and len(data) > self.max_length:
            self.fail("max_length", max_length=self.max_length)
        text = super().to_internal_value(data)
        if self.trim_whitespace and not self.allow_blank and not VISIBLE_CHARACTER.search(text):
            self.fail("blank")
        return text


class OneLineField(TextField):
    """Text on one line, such as a name or a title."""

    def __init__(self, **kwargs: Any) -> None:
        pattern = ONE_LINE_OR_BLANK_PATTERN if kwargs.get("allow_blank") else ONE_LINE_PATTERN
        super().__init__(pattern=pattern, validators=[validate_one_line, validate_visible], **kwargs)


class StrictBooleanField(serializers.BooleanField):
    """A JSON boolean; DRF's field also accepts 1 and "yes"."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class StrictSerializer(serializers.Serializer[Any]):
    """An object without other fields; DRF's serializer ignores unknown ones."""

    default_error_messages = {"unknown": _("Unknown field.")}

    def to_internal_value(self, data: Any) -> Any:
        unknown = [name for name in data if name not in self.fields] if isinstance(data, Mapping) else []
        reason = ErrorDetail(str(self.error_messages["unknown"]), "unknown")
        errors: Any = {name: [reason] for name in unknown[:UNKNOWN_NAMES_SHOWN]}
        try:
            known = super().to_internal_value(data)
        except serializers.ValidationError as error:
            raise serializers.ValidationError(errors | error.detail) from error
        if errors:
            raise serializers.ValidationError(errors)
        return known


class IdField(serializers.IntegerField):
    """The id of a row: a JSON integer, or its decimal digits."""

    def __init__(self, *, minimum: int = 1, **kwargs: Any) -> None:
        super().__init__(min_value=minimum, max_value=MAXIMUM_ID, **kwargs)

    def to_internal_value(self, data: Any) -> int:
        if type(data) is not int and not (isinstance(data, str) and DIGITS.fullmatch(data)):
            self.fail("invalid")
        return super().to_internal_value(data)
