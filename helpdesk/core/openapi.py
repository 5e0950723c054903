"""Parts of the OpenAPI schema that all operations share: error responses, and ids in paths."""

import re
from http import HTTPStatus
from typing import Any, Literal

from drf_spectacular import openapi
from drf_spectacular.extensions import OpenApiSerializerExtension, OpenApiSerializerFieldExtension

from helpdesk.core.errors import PROBLEM_JSON
from helpdesk.core.fields import StrictSerializer, TextField
from helpdesk.core.idempotency import HEADER as IDEMPOTENCY_KEY

DESCRIPTIONS = {
    HTTPStatus.BAD_REQUEST: "A value is invalid; `errors` lists each with its reason.",
    HTTPStatus.UNAUTHORIZED: "The token or the credentials are missing, wrong, expired or revoked.",
    HTTPStatus.FORBIDDEN: "The user is not allowed to do this.",
    HTTPStatus.NOT_FOUND: "It does not exist, or the user is not allowed to see it.",
    HTTPStatus.NOT_ACCEPTABLE: "The response is JSON, which the Accept header excludes.",
    HTTPStatus.CONFLICT: "A concurrent request changed it or took the same name, or one with the same `Idempotency-Key` is "
    "in progress.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is larger than 1 MiB.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body is not application/json.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "The `Idempotency-Key` was used for another request.",
    HTTPStatus.TOO_MANY_REQUESTS: "The rate limit is exceeded; retry after `Retry-After` seconds.",
    HTTPStatus.SERVICE_UNAVAILABLE: "The service is overloaded or restarting; retry after `Retry-After` seconds.",
}
HEADERS = {
    HTTPStatus.UNAUTHORIZED: {"WWW-Authenticate": 'The authentication scheme: `Bearer realm="api"`.'},
    HTTPStatus.TOO_MANY_REQUESTS: {
        "Retry-After": "Seconds until the next request is accepted.",
        "RateLimit-Policy": 'Each limit by name: `"user";q=100;w=60` is 100 requests in 60 seconds.',
        "RateLimit": 'The rest of each: `"user";r=0;t=12` is none until 12 seconds from now.',
    },
    HTTPStatus.SERVICE_UNAVAILABLE: {"Retry-After": "Seconds after which to retry."},
}
TEXT = {"type": "string"}
FIELD_ERROR = {
    "pointer": TEXT | {"description": "JSON Pointer (RFC 6901) of the invalid value, or `#/` and a parameter."},
    "code": TEXT,
    "detail": TEXT,
}
PROBLEM = {
    "type": TEXT,
    "title": TEXT,
    "status": {"type": "integer"},
    "detail": TEXT,
    "code": TEXT,
    "errors": {"type": "array", "items": {"$ref": "#/components/schemas/FieldError"}},
    "request_id": TEXT,
}
COMPONENTS = {
    "FieldError": {"type": "object", "properties": FIELD_ERROR, "required": sorted(FIELD_ERROR)},
    "Problem": {"type": "object", "description": "RFC 9457.", "properties": PROBLEM, "required": sorted(PROBLEM)},
}
EXAMPLES = {
    HTTPStatus.BAD_REQUEST: {
        "InvalidTitle": {
            "summary": "Invalid title",
            "value": {
                "type": "about:blank",
                "title": "Bad Request",
                "status": 400,
                "detail": "title: This field may not be blank.",
                "code": "invalid",
                "errors": [{"pointer": "#/title", "code": "blank", "detail": "This field may not be blank."}],
                "request_id": "3f0e5b3c1c4f4a6f9a1d0c7be5a5f0aa",
            },
        },
    },
}
# Views take ids in their path by the lookup_value_regex "[0-9]{1,18}".
PATH_ID_PATTERN = "^[0-9]{1,18}$"
PATH_ID_SCHEMA = {"type": "integer", "format": "int64", "minimum": 0, "maximum": 10**18 - 1}
# Marks an operation for `document_problems`, which removes the mark.
IS_DENIED = "x-is-denied"


class AutoSchema(openapi.AutoSchema):
    def get_summary(self) -> str | None:
        """Return the first clause of the description, which lists of operations show."""
        return re.split(r"[.:;]", self.get_description(), maxsplit=1)[0] or None

    def get_extensions(self) -> dict[str, Any]:
        """Mark an operation that a permission denies to some users."""
        is_denied = any(self.method in getattr(each, "denied_methods", ()) for each in self.view.get_permissions())
        return {IS_DENIED: True} if is_denied else {}


class TextFieldExtension(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call] # registers itself
    target_class = TextField
    match_subclasses = True

    def map_serializer_field(
        self,
        auto_schema: openapi.AutoSchema,
        direction: Literal["request", "response"],
    ) -> dict[str, Any]:
        # As drf-spectacular's own extensions do it.
        default = auto_schema._map_serializer_field  # noqa: SLF001
        schema: dict[str, Any] = default(self.target, direction, bypass_extensions=True)  # type: ignore[no-untyped-call]
        return schema | {"pattern": self.target.pattern}


class StrictSerializerExtension(OpenApiSerializerExtension):  # type: ignore[no-untyped-call] # registers itself
    target_class = StrictSerializer
    match_subclasses = True

    def map_serializer(
        self, auto_schema: openapi.AutoSchema, direction: Literal["request", "response"]
    ) -> dict[str, Any]:
        default = auto_schema._map_serializer  # noqa: SLF001 -- as drf-spectacular's own extensions do it
        schema: dict[str, Any] = default(self.target, direction, bypass_extensions=True)  # type: ignore[no-untyped-call]
        return schema | {"additionalProperties": False}


def document_problems(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Add the error responses to every operation; a postprocessing hook of drf-spectacular."""
    result["components"]["schemas"] |= COMPONENTS
    for methods in result["paths"].values():
        for method, operation in methods.items():
            for status in sorted(get_problem_statuses(method, operation)):
                add_problem(operation["responses"], status)
            operation.pop(IS_DENIED, None)
    return result


def get_problem_statuses(method: str, operation: dict[str, Any]) -> set[HTTPStatus]:
    """Return the statuses of the errors that an operation can respond with."""
    parameters = {(each["in"], each["name"]) for each in operation.get("parameters", ())}
    is_list = ("query", "page") in parameters
    statuses = {
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.NOT_ACCEPTABLE,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.SERVICE_UNAVAILABLE,
    }
    if "requestBody" in operation:
        statuses |= {
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        }
    if is_list:
        statuses |= {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND}
    if any(place == "path" for place, _name in parameters):
        statuses.add(HTTPStatus.NOT_FOUND)
    if method in {"put", "patch", "delete"}:
        statuses.add(HTTPStatus.CONFLICT)
    if ("header", IDEMPOTENCY_KEY) in parameters:
        statuses |= {HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY}
    if IS_DENIED in operation:
        statuses.add(HTTPStatus.FORBIDDEN)
    return statuses


def add_problem(responses: dict[str, Any], status: HTTPStatus) -> None:
    """Add a problem document to the responses of an operation, beside its own document of the same status."""
    content: dict[str, Any] = {"schema": {"$ref": "#/components/schemas/Problem"}}
    if status in EXAMPLES:
        content["examples"] = EXAMPLES[status]
    response = responses.setdefault(str(status.value), {"description": DESCRIPTIONS[status]})
    response.setdefault("content", {})[PROBLEM_JSON] = content
    if status in HEADERS:
        response["headers"] = {
            name: {"schema": TEXT, "description": description} for name, description in HEADERS[status].items()
        }


def document_parameters(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Describe ids in paths as integers, and that an empty filter filters nothing; a postprocessing hook."""
    operations = [operation for methods in result["paths"].values() for operation in methods.values()]
    for parameter in [parameter for operation in operations for parameter in operation.get("parameters", ())]:
        if parameter["in"] == "path" and parameter["schema"].get("pattern") == PATH_ID_PATTERN:
            parameter["schema"] = PATH_ID_SCHEMA
        elif parameter["in"] == "query" and not parameter["name"].startswith("page"):
            parameter["allowEmptyValue"] = True
    return result
