from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class CoreConfig(AppConfig):
    name = "helpdesk.core"

    def ready(self) -> None:
        """Find what registers itself in every app, as Django finds admin.py."""
        autodiscover_modules("openapi", "receivers", "vital_signs")
