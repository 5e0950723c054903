"""JSON by orjson, fast and strict (RFC 8259: no NaN, no lone surrogates, bounded depth), as the only media type of the API."""

from collections.abc import Mapping
from typing import IO, TYPE_CHECKING, Any

import orjson
from rest_framework.exceptions import ParseError
from rest_framework.metadata import BaseMetadata
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

if TYPE_CHECKING:
    from rest_framework.views import APIView


def dumps(value: object) -> bytes:
    """Return UTF-8 JSON. Times in UTC end in Z."""
    return orjson.dumps(value, default=str, option=orjson.OPT_UTC_Z)


class JSONRenderer(BaseRenderer):
    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        return b"" if data is None else dumps(data)


class JSONParser(BaseParser):
    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the parsed body; raise ParseError, or RequestDataTooBig past DATA_UPLOAD_MAX_MEMORY_SIZE."""
        # `stream` is the request, and Django enforces its limit in `body`.
        body = getattr(stream, "body", None) or stream.read()
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise ParseError(f"JSON parse error: {error}") from error


class ContentNegotiation(DefaultContentNegotiation):
    def get_accept_list(self, request: Request) -> list[str]:
        """Return the media types of the Accept header; an empty header accepts all (RFC 9110, 12.5.1 and 5.6.1)."""
        return [media_type for media_type in super().get_accept_list(request) if media_type] or ["*/*"]


class AllowHeaderAlone(BaseMetadata):
    """OPTIONS responds with the Allow header and no body: the OpenAPI schema describes the API."""

    def determine_metadata(self, request: Request, view: "APIView") -> None:
        # Not the format that was negotiated for the view.
        request.accepted_renderer = JSONRenderer()
