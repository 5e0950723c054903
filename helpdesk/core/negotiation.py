"""What a client can ask of every view: a format of the answer, and the methods."""

from typing import TYPE_CHECKING

from rest_framework.metadata import BaseMetadata
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request

from helpdesk.core.json import JSONRenderer

if TYPE_CHECKING:
    from rest_framework.views import APIView


class ContentNegotiation(DefaultContentNegotiation):
    def get_accept_list(self, request: Request) -> list[str]:
        """Return the media types of the Accept header; an empty one accepts all (RFC 9110, 12.5.1 and 5.6.1)."""
        return [media_type for media_type in super().get_accept_list(request) if media_type] or ["*/*"]


class AllowHeaderAlone(BaseMetadata):
    """OPTIONS answers 200 with the Allow header and no body; shapes are described by the OpenAPI schema."""

    def determine_metadata(self, request: Request, view: "APIView") -> None:
        # Whatever format the view answers in.
        request.accepted_renderer = JSONRenderer()
