"""Idempotent POST requests, by the header `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header).

A request with a key writes once per user: its response is stored in the transaction of its writes, and the same request
gets that response again for RETENTION. A rejected request stores nothing.
"""

import re
from collections.abc import Callable
from datetime import timedelta
from functools import partial, wraps
from hashlib import sha256
from http import HTTPStatus
from typing import Concatenate, ParamSpec, TypeVar, cast

from django.db import connection, transaction
from django.http import HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from helpdesk.core.json import dumps
from helpdesk.core.models import IdempotencyKey

P = ParamSpec("P")
ViewT = TypeVar("ViewT")

HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotency-Replayed"
PATTERN = "^[!-~]{1,255}$"
RETENTION = timedelta(hours=24)
KEY_PARAMETER = OpenApiParameter(
    HEADER,
    {"type": "string", "pattern": PATTERN},
    OpenApiParameter.HEADER,
    description="A text of the client's choice, such as a UUID. Within 24 hours the same request with the same key "
    f"writes once and gets the same response, with `{REPLAYED_HEADER}`.",
)
REPLAYED_PARAMETER = OpenApiParameter(
    REPLAYED_HEADER,
    {"type": "string", "enum": ["true"]},
    OpenApiParameter.HEADER,
    response=[HTTPStatus.CREATED],
    description=f"This is the response to an earlier request with this `{HEADER}`; nothing was written.",
)


class IdempotencyKeyInUse(APIException):
    status_code = HTTPStatus.CONFLICT
    default_detail = gettext_lazy("A request with this Idempotency-Key is in progress. Retry in a moment.")
    default_code = "idempotency_key_in_use"


class IdempotencyKeyReused(APIException):
    status_code = HTTPStatus.UNPROCESSABLE_ENTITY
    default_detail = gettext_lazy("This Idempotency-Key was used for another request.")
    default_code = "idempotency_key_reused"


def idempotent(
    create: Callable[Concatenate[ViewT, Request, P], Response],
) -> Callable[Concatenate[ViewT, Request, P], HttpResponse]:
    """Decorate a POST method of a view for authenticated users, which raises its errors."""

    @extend_schema(parameters=[KEY_PARAMETER, REPLAYED_PARAMETER])
    @wraps(create)
    def create_once(view: ViewT, request: Request, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        key = get_key(request)
        if key is None:
            return create(view, request, *args, **kwargs)
        return respond_once(request, key, partial(create, view, request, *args, **kwargs))

    return create_once


def get_key(request: Request) -> str | None:
    """Return the key of the request, None without one; raise ValidationError if it is invalid."""
    key: str | None = request.headers.get(HEADER)
    if key is not None and not re.fullmatch(PATTERN, key):
        raise ValidationError({HEADER: [_("A key has 1 to 255 visible ASCII characters.")]})
    return key


@transaction.atomic
def respond_once(request: Request, key: str, create: Callable[[], Response]) -> HttpResponse:
    """Return the stored response to the request, or else store that of `create` and return it."""
    user_id = cast("int", request.user.pk)
    fingerprint = sha256(f"{request.method} {request.path}\n".encode() + request.body).digest()
    is_locked = try_lock(user_id, key)
    stored = IdempotencyKey.objects.filter(user_id=user_id, key=key).first()
    if stored is not None and stored.created_at > timezone.now() - RETENTION:
        return replay(stored, fingerprint)
    if not is_locked:
        raise IdempotencyKeyInUse
    if stored is not None:
        stored.delete()
    response = create()
    body, status = dumps(response.data), response.status_code
    IdempotencyKey.objects.create(user_id=user_id, key=key, fingerprint=fingerprint, status=status, body=body)
    return to_response(status, body)


def try_lock(user_id: int, key: str) -> bool:
    """Lock a user's key until the end of the transaction; return False at once if another transaction holds it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtextextended(%s, %s))", [key, user_id])
        return bool(cursor.fetchone()[0])


def replay(stored: IdempotencyKey, fingerprint: bytes) -> HttpResponse:
    if bytes(stored.fingerprint) != fingerprint:
        raise IdempotencyKeyReused
    replayed = to_response(stored.status, bytes(stored.body))
    replayed.headers[REPLAYED_HEADER] = "true"
    return replayed


def to_response(status: int, body: bytes) -> HttpResponse:
    return HttpResponse(body, status=status, content_type="application/json")
