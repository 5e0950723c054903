"""Documents what every operation has in common: its errors, as problem documents, and the ids in its path."""

import re
from http import HTTPStatus
from typing import Any, Literal

from drf_spectacular.extensions import OpenApiSerializerExtension, OpenApiSerializerFieldExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema_serializer
from rest_framework import serializers

from helpdesk.core.errors import PROBLEM_JSON
from helpdesk.core.fields import ExactSerializer, TextField
from helpdesk.core.idempotency import KEY_PARAMETER

DESCRIPTIONS = {
    HTTPStatus.BAD_REQUEST: "A value is refused; `errors` names each with its reason.",
    HTTPStatus.UNAUTHORIZED: "The token or the credentials are missing, wrong, expired or revoked.",
    HTTPStatus.FORBIDDEN: "The caller may not do this.",
    HTTPStatus.NOT_FOUND: "It does not exist, or the caller may not see it.",
    HTTPStatus.NOT_ACCEPTABLE: "The answer is JSON, which the Accept header excludes.",
    HTTPStatus.CONFLICT: "Somebody else changed it, or took the same name, at the same time; or a request with the same "
    "`Idempotency-Key` is in progress.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is larger than 1 MiB.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body is not application/json.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "The `Idempotency-Key` was used for another request.",
    HTTPStatus.TOO_MANY_REQUESTS: "The rate limit is used up; `Retry-After` says for how many seconds.",
    HTTPStatus.SERVICE_UNAVAILABLE: "The service is overloaded or restarting; try again after `Retry-After` seconds.",
}


HEADERS = {
    HTTPStatus.UNAUTHORIZED: {"WWW-Authenticate": 'The scheme to authenticate by: `Bearer realm="api"`.'},
    HTTPStatus.TOO_MANY_REQUESTS: {
        "Retry-After": "Seconds until the next request is accepted.",
        "RateLimit-Policy": 'Each limit by name: `"user";q=100;w=60` is 100 requests in 60 seconds.',
        "RateLimit": 'What is left of each: `"user";r=0;t=12` is none until 12 seconds from now.',
    },
    HTTPStatus.SERVICE_UNAVAILABLE: {"Retry-After": "Seconds after which to try again."},
}
# Views take ids in their path by the lookup_value_regex "[0-9]{1,18}".
PATH_ID_PATTERN = "^[0-9]{1,18}$"
PATH_ID_SCHEMA = {"type": "integer", "format": "int64", "minimum": 0, "maximum": 10**18 - 1}


class TextFieldExtension(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call] # registers itself
    target_class = TextField
    match_subclasses = True

    def map_serializer_field(
        self,
        auto_schema: AutoSchema,
        direction: Literal["request", "response"],
    ) -> dict[str, Any]:
        # As drf-spectacular's own extensions do it.
        as_usual = auto_schema._map_serializer_field  # noqa: SLF001
        schema: dict[str, Any] = as_usual(self.target, direction, bypass_extensions=True)  # type: ignore[no-untyped-call]
        return schema | {"pattern": self.target.pattern}


class ExactSerializerExtension(OpenApiSerializerExtension):  # type: ignore[no-untyped-call] # registers itself
    target_class = ExactSerializer
    match_subclasses = True

    def map_serializer(self, auto_schema: AutoSchema, direction: Literal["request", "response"]) -> dict[str, Any]:
        as_usual = auto_schema._map_serializer  # noqa: SLF001 -- as drf-spectacular's own extensions do it
        schema: dict[str, Any] = as_usual(self.target, direction, bypass_extensions=True)  # type: ignore[no-untyped-call]
        return schema | {"additionalProperties": False}


class FieldErrorSerializer(serializers.Serializer[Any]):
    pointer = serializers.CharField(help_text="JSON Pointer (RFC 6901) of the refused value, or `#/` and a parameter.")
    code = serializers.CharField()
    detail = serializers.CharField()


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "Refused title",
            {
                "type": "about:blank",
                "title": "Bad Request",
                "status": 400,
                "detail": "title: This field may not be blank.",
                "code": "invalid",
                "errors": [{"pointer": "#/title", "code": "blank", "detail": "This field may not be blank."}],
                "request_id": "3f0e5b3c1c4f4a6f9a1d0c7be5a5f0aa",
            },
            media_type=PROBLEM_JSON,
            status_codes=["400"],
            response_only=True,
        ),
    ],
)
class ProblemSerializer(serializers.Serializer[Any]):
    """RFC 9457."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    code = serializers.CharField()
    errors = FieldErrorSerializer(many=True)  # type: ignore[assignment] # hides Serializer.errors
    request_id = serializers.CharField()


class ProblemAutoSchema(AutoSchema):
    def get_summary(self) -> str | None:
        """Return the first clause of the description, which lists of operations show."""
        return re.split(r"[.:;]", self.get_description(), maxsplit=1)[0] or None

    def _get_response_bodies(self, direction: Literal["request", "response"] = "response") -> dict[str, Any]:
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        for status in sorted(self.problem_statuses()):
            problem, own = self.problem_body(status), bodies.get(str(status.value), {})
            bodies[str(status.value)] = problem | own | {"content": own.get("content", {}) | problem["content"]}
        return bodies

    def problem_body(self, status: HTTPStatus) -> dict[str, Any]:
        headers = {
            name: {"schema": {"type": "string"}, "description": description}
            for name, description in HEADERS.get(status, {}).items()
        }
        body: dict[str, Any] = self._get_response_for_code(  # type: ignore[no-untyped-call]
            OpenApiResponse(ProblemSerializer, description=DESCRIPTIONS[status]),
            str(status.value),
            media_types=[PROBLEM_JSON],
        )
        return body | {"headers": headers} if headers else body

    def _get_filter_parameters(self) -> list[dict[str, Any]]:
        """Say that `?status=` is no filter, as from an empty field of a form."""
        parameters: list[dict[str, Any]] = super()._get_filter_parameters()  # type: ignore[no-untyped-call]
        return [parameter | {"allowEmptyValue": True} for parameter in parameters]

    def _resolve_path_parameters(self, variables: list[str]) -> list[dict[str, Any]]:
        parameters: list[dict[str, Any]] = super()._resolve_path_parameters(variables)  # type: ignore[no-untyped-call]
        return [
            parameter | {"schema": PATH_ID_SCHEMA}
            if parameter["schema"].get("pattern") == PATH_ID_PATTERN
            else parameter
            for parameter in parameters
        ]

    def problem_statuses(self) -> set[HTTPStatus]:
        """Return the statuses of the errors that the operation can answer with."""
        statuses = {HTTPStatus.NOT_ACCEPTABLE, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
        has_body = self._get_request_body() is not None  # type: ignore[no-untyped-call]
        if has_body:
            statuses |= {HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE}
        if self.method in {"PUT", "PATCH", "DELETE"}:
            statuses.add(HTTPStatus.CONFLICT)
        if KEY_PARAMETER in self.get_override_parameters():
            statuses |= {HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY}
        if has_body or self._is_list_view():
            statuses.add(HTTPStatus.BAD_REQUEST)
        if self.view.get_authenticate_header(self.view.request):
            statuses.add(HTTPStatus.UNAUTHORIZED)
        if any(self.method in getattr(permission, "denied_methods", ()) for permission in self.view.get_permissions()):
            statuses.add(HTTPStatus.FORBIDDEN)
        if "{" in self.path or self._is_list_view():
            statuses.add(HTTPStatus.NOT_FOUND)
        return statuses
