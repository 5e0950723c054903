"""The doors to users and to their tokens."""

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
from helpdesk.users.authentication import AccessTokenAuthentication, current_user, session_of
from helpdesk.users.credentials import check_own_password, verified_user
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
from helpdesk.users.throttles import AddressThrottle, check_address_change


class CredentialView(GenericAPIView[User]):
    """A door for those who hold no access token."""

    authentication_classes = []
    permission_classes = [AllowAny]
    throttle_classes = [CredentialThrottle]

    def get_authenticate_header(self, request: Request) -> str:
        return AccessTokenAuthentication().authenticate_header(request)

    def valid_input(self) -> dict[str, Any]:
        serializer = self.get_serializer(data=self.request.data)
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)


class TokenView(CredentialView):
    serializer_class = CredentialsSerializer

    @extend_schema(operation_id="auth_token_create", responses={200: TokenPairSerializer})
    def post(self, request: Request) -> Response:
        """Log in: trade a username and a password for an access and a refresh token."""
        user = verified_user(request, **self.valid_input())
        user_logged_in.send(User, request=request._request, user=user)  # noqa: SLF001
        return Response(actions.issue_tokens(user))


class TokenRefreshView(CredentialView):
    serializer_class = RefreshTokenSerializer

    @extend_schema(operation_id="auth_token_refresh", responses={200: TokenPairSerializer})
    def post(self, request: Request) -> Response:
        """Trade a refresh token, which works once, for a new pair of the same session.

        A used one is 401 and ends its session, the access tokens too: it may have been stolen. So tabs that share a
        token take turns.
        """
        return Response(actions.rotate_refresh_token(**self.valid_input()))


class LogoutView(CredentialView):
    serializer_class = RefreshTokenSerializer

    @extend_schema(operation_id="auth_logout", responses={204: None})
    def post(self, request: Request) -> Response:
        """Log out: end the session of a refresh token, used or not, and its access tokens with it."""
        actions.revoke_refresh_token(**self.valid_input())
        return Response(status=status.HTTP_204_NO_CONTENT)


class RegistrationView(CredentialView):
    serializer_class = RegistrationSerializer
    permission_classes = [AllowAny, RegistrationIsOpen]
    throttle_classes = [CredentialThrottle, AddressThrottle]

    @extend_schema(operation_id="auth_register", responses={202: None})
    def post(self, request: Request) -> Response:
        """Register as a customer: an e-mail asks whether the address is yours, and the account begins when you confirm.

        The answer is the same for an address that already has an account; the e-mail says so.
        """
        actions.register(**{"language": language_of(request), **self.valid_input()})
        return Response(status=status.HTTP_202_ACCEPTED)


class EmailVerificationView(CredentialView):
    serializer_class = AccountTokenSerializer

    @extend_schema(operation_id="auth_email_verify", responses={204: None})
    def post(self, request: Request) -> Response:
        """Confirm an e-mail address with the token of the mailed link, which works once and for a day.

        A registration becomes an account, and one can log in; a user who has asked for another address has it.
        """
        actions.confirm_address(**self.valid_input())
        return Response(status=status.HTTP_204_NO_CONTENT)


class PasswordResetRequestView(CredentialView):
    serializer_class = AddressSerializer
    throttle_classes = [CredentialThrottle, AddressThrottle]

    @extend_schema(operation_id="auth_password_reset", responses={202: None})
    def post(self, request: Request) -> Response:
        """Ask for a link to choose a new password; the answer is the same whether anybody has the address or not."""
        actions.request_password_reset(**self.valid_input(), language=language_of(request))
        return Response(status=status.HTTP_202_ACCEPTED)


class PasswordResetView(CredentialView):
    serializer_class = PasswordResetSerializer

    @extend_schema(operation_id="auth_password_reset_confirm", responses={204: None})
    def post(self, request: Request) -> Response:
        """Choose a new password with the token of the mailed link. All tokens issued before are dead."""
        chosen = self.valid_input()
        check_password_strength("new_password", chosen["new_password"], actions.user_who_resets(chosen["token"]))
        actions.reset_password(**chosen)
        return Response(status=status.HTTP_204_NO_CONTENT)


def language_of(request: Request) -> Language:
    """Return the language that the request asks for."""
    code = get_language_from_request(request._request)  # noqa: SLF001 -- Django reads its own request
    return Language(code) if code in Language.values else Language.ENGLISH


@extend_schema_view(
    list=extend_schema(description="People: all of them for an agent, themselves for a customer."),
    retrieve=extend_schema(description="One user."),
)
class UserViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[User]):
    """Users: agents see everybody, a customer only themselves."""

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
        """Who am I?"""
        return Response(MeSerializer(current_user(request)).data)

    @extend_schema(operation_id="users_me_update", request=ProfileSerializer, responses={200: MeSerializer})
    @me.mapping.patch
    def update_me(self, request: Request) -> Response:
        """Change my name, language or e-mail address; another address wants my present password, too.

        It waits in `pending_email`, in place of one that waits already, until its owner has confirmed it
        by the link that is mailed to it; the present address is told. Asking for the present one ends the waiting, and
        so do a day, a new password and deactivation. The answer is the same for an address that has an account, which
        nobody else can get; the e-mail says so. Its confirmation ends all my sessions but this one.
        """
        user = current_user(request)
        serializer = ProfileSerializer(user, data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        changes = serializer.validated_data
        password = changes.pop("current_password", "")
        if changes.get("email", user.email) != user.email:
            check_own_password(request, username=user.username, password=password)
            check_address_change(request, self)
        user = actions.update_profile(user, changes=changes, session=session_of(request))
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
        """Change my password. All tokens issued before are dead; the answer is a new pair."""
        user = current_user(request)
        serializer = PasswordChangeSerializer(data=request.data, context=self.get_serializer_context())
        serializer.is_valid(raise_exception=True)
        check_own_password(request, username=user.username, password=serializer.validated_data["current_password"])
        actions.change_password(user, new_password=serializer.validated_data["new_password"])
        return Response(actions.issue_tokens(user))
