"""Documents what every operation has in common: its errors, as problem documents."""

from http import HTTPStatus
from typing import Any, Literal

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema_serializer
from rest_framework import serializers

from helpdesk.core.errors import PROBLEM_JSON

DESCRIPTIONS = {
    HTTPStatus.BAD_REQUEST: "A value is refused; `errors` names each with its reason.",
    HTTPStatus.UNAUTHORIZED: "The token or the credentials are missing, wrong, expired or revoked.",
    HTTPStatus.FORBIDDEN: "The caller may see this, but not change it.",
    HTTPStatus.NOT_FOUND: "It does not exist, or the caller may not see it.",
    HTTPStatus.NOT_ACCEPTABLE: "The answer is JSON, which the Accept header excludes.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is larger than 1 MiB.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body is not application/json.",
    HTTPStatus.TOO_MANY_REQUESTS: "The rate limit is used up; `Retry-After` says for how many seconds.",
    HTTPStatus.SERVICE_UNAVAILABLE: "The service is overloaded or restarting; try again after `Retry-After` seconds.",
}


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
            status_codes=["400"],
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
    def _get_response_bodies(self, direction: Literal["request", "response"] = "response") -> dict[str, Any]:
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        for status in sorted(self.problem_statuses()):
            bodies.setdefault(
                str(status.value),
                self._get_response_for_code(  # type: ignore[no-untyped-call]
                    OpenApiResponse(ProblemSerializer, description=DESCRIPTIONS[status]),
                    str(status.value),
                    media_types=[PROBLEM_JSON],
                ),
            )
        return bodies

    def problem_statuses(self) -> set[HTTPStatus]:
        """Return the statuses of the errors that the operation can answer with."""
        statuses = {HTTPStatus.NOT_ACCEPTABLE, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
        has_body = self.method in {"POST", "PUT", "PATCH"}
        if has_body:
            statuses |= {HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE}
        if has_body or self._is_list_view():
            statuses.add(HTTPStatus.BAD_REQUEST)
        if self.view.get_authenticate_header(self.view.request):
            statuses.add(HTTPStatus.UNAUTHORIZED)
        if any(self.method in getattr(permission, "denied_methods", ()) for permission in self.view.get_permissions()):
            statuses.add(HTTPStatus.FORBIDDEN)
        if "{" in self.path or self._is_list_view():
            statuses.add(HTTPStatus.NOT_FOUND)
        return statuses
