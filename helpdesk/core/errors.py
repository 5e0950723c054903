"""Error responses: problem documents, application/problem+json (RFC 9457)."""

import sys
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, TypedDict

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import IntegrityError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.views import defaults
from psycopg.errors import ForeignKeyViolation, UniqueViolation
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.serializers import as_serializer_error

from helpdesk.core.json import JSONRenderer, dumps
from helpdesk.core.request_id import request_id

PROBLEM_JSON = "application/problem+json"
RETRY_AFTER_SECONDS = 2


class FieldError(TypedDict):
    """An invalid value; `pointer` is its JSON Pointer (RFC 6901) as a URI fragment, "#/title"."""

    pointer: str
    code: str
    detail: str


class PayloadTooLarge(exceptions.APIException):
    status_code = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    default_detail = "The request body is too large."
    default_code = "payload_too_large"


class Conflict(exceptions.APIException):
    status_code = HTTPStatus.CONFLICT
    default_detail = "The resource was changed concurrently. Reload and retry."
    default_code = "conflict"


class ServiceUnavailable(exceptions.APIException):
    status_code = HTTPStatus.SERVICE_UNAVAILABLE
    default_detail = "The service is overloaded or restarting. Retry in a moment."
    default_code = "unavailable"
    wait = RETRY_AFTER_SECONDS


def problem_response(error: Exception, context: dict[str, Any]) -> Response | None:
    """Return the response to an error in an API view; None for a programming error, which handler500 responds to."""
    known = to_api_exception(error)
    if known is None:
        return None
    request = context["request"]
    # Not the format that was negotiated for the view.
    request.accepted_renderer, request.accepted_media_type = JSONRenderer(), PROBLEM_JSON
    return Response(
        to_problem(known),
        status=known.status_code,
        headers=get_error_headers(known),
        content_type=PROBLEM_JSON,
    )


def to_api_exception(error: Exception) -> exceptions.APIException | None:
    """Translate an error into one that has a status; None for a programming error."""
    match error:
        case exceptions.APIException():
            return error
        case Http404():
            return exceptions.NotFound()
        case PermissionDenied():
            return exceptions.PermissionDenied()
        case DjangoValidationError():
            return exceptions.ValidationError(as_serializer_error(error))
        case RequestDataTooBig():
            return PayloadTooLarge()
        case IntegrityError(__cause__=UniqueViolation() | ForeignKeyViolation()):
            return Conflict()
        case OperationalError():
            return ServiceUnavailable()
        case _:
            return None


def get_error_headers(error: exceptions.APIException) -> dict[str, str]:
    headers = {}
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(int(wait))
    return headers


def to_problem(error: exceptions.APIException) -> dict[str, Any]:
    """Return the problem document: type, title, status, detail, code, errors, request_id."""
    errors = list(field_errors(error.detail)) if isinstance(error, exceptions.ValidationError) else []
    if errors:
        first = errors[0]
        detail, code = f"{first['pointer'].removeprefix('#/')}: {first['detail']}".removeprefix("#: "), "invalid"
    else:
        detail, code = summarize(error)
    return {
        "type": "about:blank",
        "title": HTTPStatus(error.status_code).phrase,
        "status": int(error.status_code),
        "detail": detail,
        "code": code,
        "errors": errors,
        "request_id": request_id(),
    }


def summarize(error: exceptions.APIException) -> tuple[str, str]:
    """Return the detail and the code of an error that concerns no field."""
    match error.detail:
        case {"detail": detail, **rest}:
            return str(detail), str(rest.get("code") or getattr(detail, "code", error.default_code))
        case str() as detail:
            return str(detail), str(getattr(detail, "code", None) or error.default_code)
        case _:
            return str(error.default_detail), error.default_code


def field_errors(detail: Any, pointer: str = "#") -> Iterator[FieldError]:
    """Yield the errors in DRF's nested error detail, depth first."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            at = pointer if name == "non_field_errors" else f"{pointer}/{escape(str(name))}"
            yield from field_errors(inner, at)
    elif isinstance(detail, list):
        for index, inner in enumerate(detail):
            yield from field_errors(inner, f"{pointer}/{index}" if isinstance(inner, dict | list) else pointer)
    else:
        yield {"pointer": pointer, "code": getattr(detail, "code", "invalid"), "detail": str(detail)}


def escape(name: str) -> str:
    """Return a name as a reference token of a JSON Pointer (RFC 6901, section 3)."""
    return name.replace("~", "~0").replace("/", "~1")


def to_http_response(error: exceptions.APIException) -> HttpResponse:
    return HttpResponse(
        dumps(to_problem(error)),
        status=error.status_code,
        headers=get_error_headers(error),
        content_type=PROBLEM_JSON,
    )


def is_admin_page(request: HttpRequest) -> bool:
    return request.path.startswith("/admin/")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """handler400: what Django rejects before a view runs, such as an invalid Host header."""
    if isinstance(exception, RequestDataTooBig):
        return to_http_response(PayloadTooLarge())
    return to_http_response(exceptions.ParseError("Bad request."))


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """handler403."""
    if is_admin_page(request):
        return defaults.permission_denied(request, exception)
    return to_http_response(exceptions.PermissionDenied())


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """handler404."""
    if is_admin_page(request):
        return defaults.page_not_found(request, exception)
    return to_http_response(exceptions.NotFound())


def server_error(request: HttpRequest) -> HttpResponse:
    """handler500, without the cause, which the log has under the same request id; 503 for errors of the database."""
    error = ServiceUnavailable() if isinstance(sys.exception(), OperationalError) else exceptions.APIException()
    if not is_admin_page(request):
        return to_http_response(error)
    page = defaults.server_error(request)
    page.status_code = error.status_code
    for name, value in get_error_headers(error).items():
        page.headers[name] = value
    return page
