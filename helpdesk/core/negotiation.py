"""Content negotiation and OPTIONS of all views."""

from typing import TYPE_CHECKING

from rest_framework.metadata import BaseMetadata
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request

from helpdesk.core.json import JSONRenderer

if TYPE_CHECKING:
    from rest_framework.views import APIView


class ContentNegotiation(DefaultContentNegotiation):
    def get_accept_list(self, request: Request) -> list[str]:
        """Return the media types of the Accept header; an empty header accepts all (RFC 9110, 12.5.1 and 5.6.1)."""
        return [media_type for media_type in super().get_accept_list(request) if media_type] or ["*/*"]


class AllowHeaderAlone(BaseMetadata):
    """OPTIONS responds with the Allow header and no body: the OpenAPI schema describes the API."""

    def determine_metadata(self, request: Request, view: "APIView") -> None:
        # Not the format that was negotiated for the view.
        request.accepted_renderer = JSONRenderer()
