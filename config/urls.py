"""Every HTTP address, one line each."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import TemplateView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.permissions import AllowAny
from rest_framework.routers import APIRootView, SimpleRouter

from config.health import health, metrics
from helpdesk.emails.views import unsubscribe
from helpdesk.monitoring.views import livez, readyz
from helpdesk.notifications.views import AsyncAPIView, NotificationViewSet
from helpdesk.subscriptions.views import PreferencesView
from helpdesk.tickets.views import CommentViewSet, TicketViewSet
from helpdesk.users.views import (
    EmailVerificationView,
    LogoutView,
    PasswordResetRequestView,
    PasswordResetView,
    RegistrationView,
    TokenRefreshView,
    TokenView,
    UserViewSet,
)

router = SimpleRouter()
router.register("tickets", TicketViewSet, basename="ticket")
router.register("comments", CommentViewSet, basename="comment")
router.register("notifications", NotificationViewSet, basename="notification")
router.register("users", UserViewSet, basename="user")

ENTRANCES = {
    "tickets": "ticket-list",
    "comments": "comment-list",
    "notifications": "notification-list",
    "preferences": "preferences",
    "users": "user-list",
    "me": "user-me",
    "token": "token",
    "docs": "docs",
    "schema": "schema",
}

api_urlpatterns = [
    path("", APIRootView.as_view(api_root_dict=ENTRANCES, authentication_classes=[], permission_classes=[AllowAny])),
    path("auth/token/", TokenView.as_view(), name="token"),
    path("auth/token/refresh/", TokenRefreshView.as_view(), name="token-refresh"),
    path("auth/logout/", LogoutView.as_view(), name="logout"),
    path("auth/register/", RegistrationView.as_view(), name="register"),
    path("auth/email/verify/", EmailVerificationView.as_view(), name="email-verify"),
    path("auth/password/reset/", PasswordResetRequestView.as_view(), name="password-reset"),
    path("auth/password/reset/confirm/", PasswordResetView.as_view(), name="password-reset-confirm"),
    path("health/", health, name="health"),
    path("preferences/", PreferencesView.as_view(), name="preferences"),
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path("asyncapi.json", AsyncAPIView.as_view(), name="asyncapi"),
    path("docs/", SpectacularSwaggerSplitView.as_view(url_name="schema", template_name="docs.html"), name="docs"),
    *router.urls,
]

urlpatterns = [
    path("", TemplateView.as_view(template_name="home.html"), name="home"),
    path("admin/", admin.site.urls),
    path("emails/unsubscribe/<str:token>/", unsubscribe, name="unsubscribe"),
    path("api/", include(api_urlpatterns)),
    path("livez", livez),
    path("readyz", readyz),
    path("metrics", metrics, name="metrics"),
]

handler400 = "helpdesk.core.errors.bad_request"
handler403 = "helpdesk.core.errors.permission_denied"
handler404 = "helpdesk.core.errors.not_found"
handler500 = "helpdesk.core.errors.server_error"
