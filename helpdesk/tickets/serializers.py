"""The shapes of tickets, comments and events.

Requests are read by DRF's serializers. Those of answers are RowSerializers: the columns that are read, the answer and the
schema derive from the same fields.
"""

from collections.abc import Callable, Mapping
from functools import cache
from operator import itemgetter
from typing import Any, TypeVar

from django.db.models import Model
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.fields import Field, empty

from helpdesk.core.fields import IdField, OneLineField, TextField
from helpdesk.tickets.models import (
    COMMENT_LENGTH,
    DESCRIPTION_LENGTH,
    PRIORITY_NAMES,
    TITLE_LENGTH,
    Comment,
    EventKind,
    EventSource,
    Priority,
    Status,
    Ticket,
    TicketEvent,
)
from helpdesk.users.models import User

Row = Mapping[str, Any]
ModelT = TypeVar("ModelT", bound=Model)

PRIORITY_NAME_OF = {priority.value: priority.name.lower() for priority in Priority}
# The number of its newest comments that a ticket's detail contains.
COMMENTS_SHOWN = 200


class RowSerializer(serializers.ModelSerializer[ModelT]):
    """Declares the shape of an answer, which is built from a row of `.values(*columns())`, several times faster than by DRF.

    Fields are columns; nested serializers are joined rows, null without one. `Meta.computed` names the fields that are no
    columns.
    """

    @classmethod
    def columns(cls) -> list[str]:
        return [column for columns, _reader in readers_for(cls).values() for column in columns]

    @classmethod
    def from_row(cls, row: Row, **computed: Any) -> dict[str, Any]:
        return {name: read(row) for name, (_columns, read) in readers_for(cls).items()} | computed

    @classmethod
    def from_instance(cls, instance: ModelT, **computed: Any) -> dict[str, Any]:
        """Return what from_row() does, from an instance whose relations are loaded."""
        return cls.from_row({column: value_at(instance, column) for column in cls.columns()}, **computed)


@cache
def readers_for(serializer: type[RowSerializer[Any]]) -> dict[str, tuple[list[str], Callable[[Row], Any]]]:
    """Return, for each field that is not computed, its columns and a function from a row to its value."""
    computed = getattr(serializer.Meta, "computed", ())
    return {name: reader_for(name, field) for name, field in serializer().fields.items() if name not in computed}


def reader_for(name: str, field: Field[Any, Any, Any, Any]) -> tuple[list[str], Callable[[Row], Any]]:
    if isinstance(field, serializers.Serializer):
        columns = {key: f"{name}__{key}" for key in field.get_fields()}

        def read_joined(row: Row) -> dict[str, Any] | None:
            return None if row[columns["id"]] is None else {key: row[column] for key, column in columns.items()}

        return [*columns.values()], read_joined
    if isinstance(field, PriorityField):
        return [name], lambda row: field.to_representation(row[name])
    return [name], itemgetter(name)


def value_at(instance: Model, column: str) -> Any:
    """Return the value of a column such as `author__name`; None when there is no such relation."""
    value: Any = instance
    for name in column.split("__"):
        value = getattr(value, name, None)
    return value.pk if isinstance(value, Model) else value


class TitleField(OneLineField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=TITLE_LENGTH, **kwargs)


class PriorityField(serializers.ChoiceField):
    """The lower-case name of a priority, which is a number in the database."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(choices=PRIORITY_NAMES, **kwargs)

    def to_internal_value(self, data: Any) -> Priority:  # type: ignore[override] # the stubs narrow it to str
        if not isinstance(data, str):
            self.fail("invalid_choice", input=data)
        return Priority[super().to_internal_value(data).upper()]

    def to_representation(self, value: Any) -> str:
        return PRIORITY_NAME_OF[value]


class AssigneeField(serializers.PrimaryKeyRelatedField[User]):
    """The id of an existing user; unlike DRF's, an empty string is not null."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(queryset=User.objects.all(), pk_field=IdField(), allow_null=True, **kwargs)

    def run_validation(self, data: Any = empty) -> Any:
        if data == "":
            self.fail("incorrect_type", data_type="str")
        return super().run_validation(data)


class NewTicketSerializer(serializers.Serializer[Ticket]):
    title = TitleField()
    description = TextField(max_length=DESCRIPTION_LENGTH)
    priority = PriorityField(default=Priority.MEDIUM)


class TicketChangesSerializer(serializers.Serializer[Ticket]):
    """The fields that agents can change; those left out are not changed."""

    title = TitleField(required=False)
    description = TextField(max_length=DESCRIPTION_LENGTH, required=False)
    status = serializers.ChoiceField(choices=Status.choices, required=False)
    priority = PriorityField(required=False)
    assigned_to = AssigneeField(required=False)


class NewCommentSerializer(serializers.Serializer[Comment]):
    ticket = IdField()
    content = TextField(max_length=COMMENT_LENGTH)


class UserSummarySerializer(serializers.ModelSerializer[User]):
    """A user as shown in tickets and comments."""

    class Meta:
        model = User
        fields = ["id", "username", "name", "role"]
        read_only_fields = fields


class TicketSerializer(RowSerializer[Ticket]):
    priority = PriorityField()
    created_by = UserSummarySerializer()
    assigned_to = UserSummarySerializer(allow_null=True)

    class Meta:
        model = Ticket
        fields = [
            "id",
            "title",
            "status",
            "priority",
            "created_by",
            "assigned_to",
            "comments_count",
            "last_comment_at",
            "created_at",
            "updated_at",
        ]
        read_only_fields = fields


class CommentSerializer(RowSerializer[Comment]):
    author = UserSummarySerializer()

    class Meta:
        model = Comment
        fields = ["id", "ticket", "author", "content", "created_at"]
        read_only_fields = fields


class TicketDetailSerializer(TicketSerializer):
    comments = CommentSerializer(
        many=True,
        help_text=f"The newest {COMMENTS_SHOWN} comments, oldest first; `comments_count` is the number of all.",
    )
    older_comments = serializers.URLField(
        allow_null=True,
        help_text="URL of the list of all comments; null when `comments` contains all of them.",
    )

    class Meta(TicketSerializer.Meta):
        computed = ["comments", "older_comments"]
        fields = [*TicketSerializer.Meta.fields, "description", *computed]
        read_only_fields = fields


@extend_schema_field(
    {"description": "The value before or after the event; its type depends on `kind`.", "nullable": True}
)
class RecordedValueField(serializers.JSONField):
    pass


class TicketEventSerializer(RowSerializer[TicketEvent]):
    kind = serializers.ChoiceField(choices=EventKind.choices)
    actor = UserSummarySerializer()
    source = serializers.ChoiceField(choices=EventSource.choices)  # type: ignore[assignment] # hides Field.source
    old = RecordedValueField()
    new = RecordedValueField()
    comment = serializers.IntegerField(allow_null=True, help_text="The id of the comment that was added.")

    class Meta:
        model = TicketEvent
        fields = ["id", "kind", "actor", "source", "old", "new", "comment", "created_at"]
        read_only_fields = fields
