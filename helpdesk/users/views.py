"""The API of users: login and tokens, registration, passwords, profiles."""

from typing import Any

from django.contrib.auth import user_logged_in
from django.db.models import QuerySet
from django.utils.translation import get_language_from_request
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import mixins, status, viewsets
from rest_framework.decorators import action
from rest_framework.generics import GenericAPIView
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from helpdesk.core.throttles import CredentialThrottle
from helpdesk.users import actions
from helpdesk.users.authentication import (
    AccessTokenAuthentication,
    TokenRejected,
    authentication_failed,
    current_session_id,
    current_user,
)
from helpdesk.users.credentials import check_credentials, check_current_password
from helpdesk.users.filters import UserFilter
from helpdesk.users.models import Language, User
from helpdesk.users.permissions import RegistrationIsOpen
from helpdesk.users.serializers import (
    AccountTokenSerializer,
    AddressSerializer,
    CredentialsSerializer,
    MeSerializer,
    PasswordChangeSerializer,
    PasswordResetSerializer,
    ProfileSerializer,
    RefreshTokenSerializer,
    RegistrationSerializer,
    TokenPairSerializer,
    UserSerializer,
    check_password_strength,
)
from helpdesk.users.throttles import MailThrottle, check_address_change


class CredentialView(GenericAPIView[User]):
    """Base of the views that need no access token."""

    authentication_classes = []
    permission_classes = [AllowAny]
    throttle_classes = [CredentialThrottle]

    def get_authenticate_header(self, request: Request) -> str:
        return AccessTokenAuthentication().authenticate_header(request)

    def handle_exception(self, exc: Exception) -> Response:
        return super().handle_exception(authentication_failed(exc) if isinstance(exc, TokenRejected) else exc)

    def valid_input(self) -> dict[str, Any]:
        serializer = self.get_serializer(data=self.request.data)
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)


class TokenView(CredentialView):
    serializer_class = CredentialsSerializer

    @extend_schema(operation_id="auth_token_create", responses={200: TokenPairSerializer})
    def post(self, request: Request) -> Response:
        """Log in with a username and a password; returns an access and a refresh token."""
        user = check_credentials(request, **self.valid_input())
        user_logged_in.send(User, request=request._request, user=user)  # noqa: SLF001
        return Response(actions.issue_tokens(user))


class TokenRefreshView(CredentialView):
    serializer_class = RefreshTokenSerializer

    @extend_schema(operation_id="auth_token_refresh", responses={200: TokenPairSerializer})
    def post(self, request: Request) -> Response:
        """Refresh the tokens: exchange a refresh token for a new pair of the same session.

        A refresh token can be used once. Using it again is answered with 401 and ends the session, including its access
        tokens, because the token may have been stolen. Clients that share a token, such as browser tabs, must not
        refresh it at the same time.
        """
        return Response(actions.rotate_refresh_token(**self.valid_input()))


class LogoutView(CredentialView):
    serializer_class = RefreshTokenSerializer

    @extend_schema(operation_id="auth_logout", responses={204: None})
    def post(self, request: Request) -> Response:
        """Log out: end the session of a refresh token, used or not, including its access tokens."""
        actions.revoke_refresh_token(**self.valid_input())
        return Response(status=status.HTTP_204_NO_CONTENT)


class RegistrationView(CredentialView):
    serializer_class = RegistrationSerializer
    permission_classes = [AllowAny, RegistrationIsOpen]
    throttle_classes = [CredentialThrottle, MailThrottle]

    @extend_schema(operation_id="auth_register", responses={202: None})
    def post(self, request: Request) -> Response:
        """Register as a customer; the account is created when the e-mail address is confirmed.

        A confirmation link is sent to the address. If the address already has an account, the response is the same
        and the e-mail says so.
        """
        actions.register(**{"language": get_language(request), **self.valid_input()})
        return Response(status=status.HTTP_202_ACCEPTED)


class EmailVerificationView(CredentialView):
    serializer_class = AccountTokenSerializer

    @extend_schema(operation_id="auth_email_verify", responses={204: None})
    def post(self, request: Request) -> Response:
        """Confirm an e-mail address.

        Creates the account of a registration, or replaces the address of an account. The token from the e-mail is valid
        once and for 24 hours.
        """
        actions.confirm_address(**self.valid_input())
        return Response(status=status.HTTP_204_NO_CONTENT)


class PasswordResetRequestView(CredentialView):
    serializer_class = AddressSerializer
    throttle_classes = [CredentialThrottle, MailThrottle]

    @extend_schema(operation_id="auth_password_reset", responses={202: None})
    def post(self, request: Request) -> Response:
        """Request a link to reset the password; the response is the same whether or not the address has an account."""
        actions.request_password_reset(**self.valid_input(), language=get_language(request))
        return Response(status=status.HTTP_202_ACCEPTED)


class PasswordResetView(CredentialView):
    serializer_class = PasswordResetSerializer

    @extend_schema(operation_id="auth_password_reset_confirm", responses={204: None})
    def post(self, request: Request) -> Response:
        """Reset the password. The token from the e-mail is valid once and for one hour. Ends all sessions."""
        values = self.valid_input()
        user = actions.get_user_for_password_reset(values["token"])
        check_password_strength("new_password", values["new_password"], user)
        actions.reset_password(**values)
        return Response(status=status.HTTP_204_NO_CONTENT)


def get_language(request: Request) -> Language:
    """Return the language of the request (cookie or Accept-Language), English if it is not supported."""
    code = get_language_from_request(request._request)  # noqa: SLF001 -- Django reads its own request
    return Language(code) if code in Language.values else Language.ENGLISH


@extend_schema_view(
    list=extend_schema(description="List users: all of them for agents, only themselves for customers."),
    retrieve=extend_schema(description="Retrieve a user."),
)
class UserViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[User]):
    """Users: agents see all of them, customers only themselves."""

    queryset = User.objects.none()
    serializer_class = UserSerializer
    filterset_class = UserFilter
    lookup_value_regex = "[0-9]{1,18}"

    def get_queryset(self) -> QuerySet[User]:
        users: QuerySet[User] = User.objects.visible_to(current_user(self.request))
        return users.order_by("username")

    @extend_schema(operation_id="users_me_retrieve", responses={200: MeSerializer})
    @action(methods=["get"], detail=False, filterset_class=None, pagination_class=None)
    def me(self, request: Request) -> Response:
        """Retrieve the authenticated user."""
        return Response(MeSerializer(current_user(request)).data)

    @extend_schema(operation_id="users_me_update", request=ProfileSerializer, responses={200: MeSerializer})
    @me.mapping.patch
    def update_me(self, request: Request) -> Response:
        """Change the name, language or e-mail address of the authenticated user.

        A new address requires `current_password`. It stays in `pending_email` until it is confirmed with the link sent
        to it; the current address is notified. It is cancelled by another new address, by sending the current one, by
        a new password, by deactivation, and after 24 hours. If the new address already has an account, the response
        is the same and the e-mail says so. The confirmation ends all other sessions.
        """
        user = current_user(request)
        serializer = ProfileSerializer(user, data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        changes = serializer.validated_data
        password = changes.pop("current_password", "")
        if changes.get("email", user.email) != user.email:
            check_current_password(request, username=user.username, password=password)
            check_address_change(request, self)
        user = actions.update_profile(user, changes=changes, session=current_session_id(request))
        return Response(MeSerializer(user).data)

    @extend_schema(
        operation_id="users_me_password",
        request=PasswordChangeSerializer,
        responses={200: TokenPairSerializer},
    )
    @action(
        methods=["post"],
        detail=False,
        url_path="me/password",
        throttle_classes=[CredentialThrottle],
        filterset_class=None,
    )
    def password(self, request: Request) -> Response:
        """Change the password of the authenticated user. Ends all sessions; returns the tokens of a new one."""
        user = current_user(request)
        serializer = PasswordChangeSerializer(data=request.data, context=self.get_serializer_context())
        serializer.is_valid(raise_exception=True)
        values = serializer.validated_data
        check_current_password(request, username=user.username, password=values["current_password"])
        actions.change_password(user, new_password=values["new_password"])
        return Response(actions.issue_tokens(user))
