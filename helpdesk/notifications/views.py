"""The REST API of the caller's notifications."""

from typing import cast

from drf_spectacular.utils import extend_schema
from rest_framework import status, viewsets
from rest_framework.decorators import action
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from helpdesk.core.lists import NumberedPages
from helpdesk.notifications.actions import mark_read, mark_read_up_to
from helpdesk.notifications.filters import NotificationFilter
from helpdesk.notifications.live.protocol import asyncapi_document
from helpdesk.notifications.models import Notification, NotificationQuerySet
from helpdesk.notifications.serializers import NotificationSerializer, ReadUpToSerializer, UnreadSerializer
from helpdesk.users.authentication import current_user


class NotificationViewSet(viewsets.GenericViewSet[Notification]):
    queryset = Notification.objects.none()
    serializer_class = NotificationSerializer
    filterset_class = NotificationFilter
    lookup_field = "seq"
    lookup_value_regex = "[0-9]{1,18}"

    def get_queryset(self) -> NotificationQuerySet:
        return Notification.objects.of(current_user(self.request)).order_by("-seq")

    @extend_schema(responses={200: NotificationSerializer(many=True)})
    def list(self, request: Request) -> Response:
        """My notifications, newest first; those after a given number, oldest first."""
        pages, serializer = NumberedPages(), NotificationSerializer()
        mine = cast("NotificationQuerySet", self.filter_queryset(self.get_queryset()))
        page = pages.paginate_queryset(mine, request).for_showing_to(current_user(request))
        return pages.get_paginated_response([serializer.to_representation(notification) for notification in page])

    @extend_schema(responses={200: UnreadSerializer})
    @action(detail=False, filterset_class=None, pagination_class=None)
    def unread(self, request: Request) -> Response:
        """How many of my notifications are unread."""
        return Response({"unread": self.get_queryset().unread().count()})

    @extend_schema(operation_id="notifications_read", request=None, responses={204: None})
    @action(methods=["post"], detail=True)
    def read(self, request: Request, seq: str) -> Response:
        """Mark one of my notifications as read."""
        mark_read(self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(
        operation_id="notifications_read_up_to",
        request=ReadUpToSerializer,
        responses={200: UnreadSerializer},
    )
    @action(methods=["post"], detail=False, url_path="read", filterset_class=None)
    def read_up_to(self, request: Request) -> Response:
        """Mark all of my notifications up to a number as read."""
        serializer = ReadUpToSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        mark_read_up_to(current_user(request), **serializer.validated_data)
        return Response({"unread": self.get_queryset().unread().count()})


@extend_schema(exclude=True)
class AsyncAPIView(APIView):
    """The AsyncAPI document of the live events, open to everyone like the OpenAPI schema."""

    authentication_classes = []
    permission_classes = [AllowAny]

    def get(self, request: Request) -> Response:
        return Response(asyncapi_document())
