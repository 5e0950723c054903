"""Every error is a problem document: RFC 9457, application/problem+json."""

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
    """One refused value; pointer is its JSON Pointer (RFC 6901) as a URI fragment, "#/title"."""

    pointer: str
    code: str
    detail: str


class PayloadTooLarge(exceptions.APIException):
    status_code = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    default_detail = "The request body is too large."
    default_code = "payload_too_large"


class Conflict(exceptions.APIException):
    status_code = HTTPStatus.CONFLICT
    default_detail = "Somebody else was first. Look again, then try again."
    default_code = "conflict"


class ServiceUnavailable(exceptions.APIException):
    status_code = HTTPStatus.SERVICE_UNAVAILABLE
    default_detail = "The service is overloaded or restarting. Try again in a moment."
    default_code = "unavailable"
    wait = RETRY_AFTER_SECONDS


def problem_response(error: Exception, context: dict[str, Any]) -> Response | None:
    """Answer an error raised in an API view; None leaves a programming error to handler500."""
    known = as_api_exception(error)
    if known is None:
        return None
    request = context["request"]
    # Whatever format the view answers in, and the client accepts.
    request.accepted_renderer, request.accepted_media_type = JSONRenderer(), PROBLEM_JSON
    return Response(
        problem(known),
        status=known.status_code,
        headers=headers_of(known),
        content_type=PROBLEM_JSON,
    )


def as_api_exception(error: Exception) -> exceptions.APIException | None:
    """Translate Django's own errors into those that carry a status."""
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


def headers_of(error: exceptions.APIException) -> dict[str, str]:
    headers = {}
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(int(wait))
    return headers


def problem(error: exceptions.APIException) -> dict[str, Any]:
    """Return the document: type, title, status, detail, code, errors, request_id."""
    errors = list(field_errors(error.detail)) if isinstance(error, exceptions.ValidationError) else []
    if errors:
        first = errors[0]
        detail, code = f"{first['pointer'].removeprefix('#/')}: {first['detail']}".removeprefix("#: "), "invalid"
    else:
        detail, code = summary(error)
    return {
        "type": "about:blank",
        "title": HTTPStatus(error.status_code).phrase,
        "status": int(error.status_code),
        "detail": detail,
        "code": code,
        "errors": errors,
        "request_id": request_id(),
    }


def summary(error: exceptions.APIException) -> tuple[str, str]:
    """Return the sentence and the code of an error that is about no field."""
    match error.detail:
        case {"detail": detail, **rest}:
            return str(detail), str(rest.get("code") or getattr(detail, "code", error.default_code))
        case str() as detail:
            return str(detail), str(getattr(detail, "code", None) or error.default_code)
        case _:
            return str(error.default_detail), error.default_code


def field_errors(detail: Any, pointer: str = "#") -> Iterator[FieldError]:
    """Flatten DRF's nested error detail, depth first."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            at = pointer if name == "non_field_errors" else f"{pointer}/{escaped(str(name))}"
            yield from field_errors(inner, at)
    elif isinstance(detail, list):
        for index, inner in enumerate(detail):
            yield from field_errors(inner, f"{pointer}/{index}" if isinstance(inner, dict | list) else pointer)
    else:
        yield {"pointer": pointer, "code": getattr(detail, "code", "invalid"), "detail": str(detail)}


def escaped(name: str) -> str:
    """Return a reference token of a JSON Pointer, RFC 6901 section 3."""
    return name.replace("~", "~0").replace("/", "~1")


def outside_the_api(error: exceptions.APIException) -> HttpResponse:
    return HttpResponse(
        dumps(problem(error)),
        status=error.status_code,
        headers=headers_of(error),
        content_type=PROBLEM_JSON,
    )


def is_admin_page(request: HttpRequest) -> bool:
    return request.path.startswith("/admin/")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """handler400: what Django refuses before a view sees it, such as a bad Host header."""
    if isinstance(exception, RequestDataTooBig):
        return outside_the_api(PayloadTooLarge())
    return outside_the_api(exceptions.ParseError("Bad request."))


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """handler403."""
    if is_admin_page(request):
        return defaults.permission_denied(request, exception)
    return outside_the_api(exceptions.PermissionDenied())


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """handler404."""
    if is_admin_page(request):
        return defaults.page_not_found(request, exception)
    return outside_the_api(exceptions.NotFound())


def server_error(request: HttpRequest) -> HttpResponse:
    """handler500: says nothing of what went wrong; the log has it under the same request id.

    503 when the database refused, as for a deadlock.
    """
    error = ServiceUnavailable() if isinstance(sys.exception(), OperationalError) else exceptions.APIException()
    if not is_admin_page(request):
        return outside_the_api(error)
    page = defaults.server_error(request)
    page.status_code = error.status_code
    for name, value in headers_of(error).items():
        page.headers[name] = value
    return page
