"""Every HTTP address; the API's own are in config.api_router."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import TemplateView

from config.health import metrics
from helpdesk.emails.views import unsubscribe
from helpdesk.monitoring.views import livez, readyz

urlpatterns = [
    path("", TemplateView.as_view(template_name="home.html"), name="home"),
    path("admin/", admin.site.urls),
    path("emails/unsubscribe/<str:token>/", unsubscribe, name="unsubscribe"),
    path("api/", include("config.api_router")),
    path("livez", livez),
    path("readyz", readyz),
    path("metrics", metrics, name="metrics"),
]

handler400 = "helpdesk.core.errors.bad_request"
handler403 = "helpdesk.core.errors.permission_denied"
handler404 = "helpdesk.core.errors.not_found"
handler500 = "helpdesk.core.errors.server_error"
