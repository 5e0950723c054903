"""The shapes of tickets, comments and events.

Requests are read by DRF serializers. Answers are built from plain rows by the functions below, several times faster;
the serializers of answers declare the same shapes for the schema.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.fields import empty

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
from helpdesk.users.serializers import UserSummarySerializer

Row = Mapping[str, Any]

PRIORITY_NAME_OF = {priority.value: priority.name.lower() for priority in Priority}
USER_COLUMNS = ("id", "username", "name", "role")
# How many of its newest comments a ticket's detail has.
COMMENTS_SHOWN = 200


def user_columns(relation: str) -> list[str]:
    return [f"{relation}__{column}" for column in USER_COLUMNS]


TICKET_COLUMNS = [
    "id",
    "title",
    "status",
    "priority",
    *user_columns("created_by"),
    *user_columns("assigned_to"),
    "comments_count",
    "last_comment_at",
    "created_at",
    "updated_at",
]
COMMENT_COLUMNS = ["id", "ticket_id", *user_columns("author"), "content", "created_at"]
EVENT_COLUMNS = ["id", "kind", *user_columns("actor"), "source", "old", "new", "comment_id", "created_at"]


def user_summary(row: Row, relation: str) -> dict[str, Any] | None:
    """Return the user that a row joined as `relation`."""
    if row[f"{relation}__id"] is None:
        return None
    return {column: row[f"{relation}__{column}"] for column in USER_COLUMNS}


def ticket_item(row: Row) -> dict[str, Any]:
    """Return a ticket as lists show it, from a row of TICKET_COLUMNS."""
    return {
        "id": row["id"],
        "title": row["title"],
        "status": row["status"],
        "priority": PRIORITY_NAME_OF[row["priority"]],
        "created_by": user_summary(row, "created_by"),
        "assigned_to": user_summary(row, "assigned_to"),
        "comments_count": row["comments_count"],
        "last_comment_at": row["last_comment_at"],
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
    }


def ticket_detail(row: Row, comments: Iterable[Row], *, older_comments: str | None = None) -> dict[str, Any]:
    """Return a ticket with its description, from a row of TICKET_COLUMNS and that, and its newest comments."""
    return ticket_item(row) | {
        "description": row["description"],
        "comments": [comment_item(comment) for comment in comments],
        "older_comments": older_comments,
    }


def comment_item(row: Row) -> dict[str, Any]:
    """Return a comment, from a row of COMMENT_COLUMNS."""
    return {
        "id": row["id"],
        "ticket": row["ticket_id"],
        "author": user_summary(row, "author"),
        "content": row["content"],
        "created_at": row["created_at"],
    }


def event_item(row: Row) -> dict[str, Any]:
    """Return an event of a timeline, from a row of EVENT_COLUMNS."""
    return {
        "id": row["id"],
        "kind": row["kind"],
        "actor": user_summary(row, "actor"),
        "source": row["source"],
        "old": row["old"],
        "new": row["new"],
        "comment": row["comment_id"],
        "created_at": row["created_at"],
    }


class TitleField(OneLineField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=TITLE_LENGTH, **kwargs)


class PriorityField(serializers.ChoiceField):
    """A priority's name outside, its rank inside."""

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
    """What agents may change; fields that are left out stay as they are."""

    title = TitleField(required=False)
    description = TextField(max_length=DESCRIPTION_LENGTH, required=False)
    status = serializers.ChoiceField(choices=Status.choices, required=False)
    priority = PriorityField(required=False)
    assigned_to = AssigneeField(required=False)


class NewCommentSerializer(serializers.Serializer[Comment]):
    ticket = IdField()
    content = TextField(max_length=COMMENT_LENGTH)


class TicketSerializer(serializers.ModelSerializer[Ticket]):
    priority = serializers.ChoiceField(choices=PRIORITY_NAMES)
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


class CommentSerializer(serializers.ModelSerializer[Comment]):
    author = UserSummarySerializer()

    class Meta:
        model = Comment
        fields = ["id", "ticket", "author", "content", "created_at"]
        read_only_fields = fields


class TicketDetailSerializer(TicketSerializer):
    comments = CommentSerializer(
        many=True,
        help_text=f"The newest {COMMENTS_SHOWN}, oldest first; `comments_count` is how many there are in all.",
    )
    older_comments = serializers.URLField(
        allow_null=True,
        help_text="The list of all comments of the ticket; null when `comments` has them all.",
    )

    class Meta(TicketSerializer.Meta):
        fields = [*TicketSerializer.Meta.fields, "description", "comments", "older_comments"]
        read_only_fields = fields


@extend_schema_field({"description": "The value, whose form depends on the kind.", "nullable": True})
class RecordedValueField(serializers.JSONField):
    pass


class TicketEventSerializer(serializers.ModelSerializer[TicketEvent]):
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
