"""A user's notification preferences."""

from drf_spectacular.utils import extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from helpdesk.subscriptions.actions import set_preferences
from helpdesk.subscriptions.models import NotificationPreference, get_preferences
from helpdesk.subscriptions.serializers import PreferenceChangesSerializer, PreferencesSerializer
from helpdesk.users.authentication import current_user


class PreferencesView(GenericAPIView[NotificationPreference]):
    serializer_class = PreferencesSerializer

    @extend_schema(operation_id="preferences_retrieve")
    def get(self, request: Request) -> Response:
        """Get my notification preferences, by kind of event and channel."""
        return Response(get_preferences(current_user(request)))

    @extend_schema(operation_id="preferences_update", request=PreferenceChangesSerializer)
    def patch(self, request: Request) -> Response:
        """Enable or disable notifications; kinds and channels that the body leaves out stay as they are.

        With `live` disabled, events of the kind do not appear among my notifications either. Unknown kinds and
        channels are refused.
        """
        serializer = PreferenceChangesSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        set_preferences(current_user(request), changes=serializer.validated_data)
        return Response(get_preferences(current_user(request)))
