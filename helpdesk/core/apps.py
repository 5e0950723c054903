from django.apps import AppConfig
from django.conf import settings
from django.utils.module_loading import autodiscover_modules, import_string


class CoreConfig(AppConfig):
    name = "helpdesk.core"

    def ready(self) -> None:
        """Find what registers itself in every app, as Django finds admin.py, and start what the settings name."""
        autodiscover_modules("openapi", "receivers", "vital_signs")
        for start in settings.TELEMETRY:
            import_string(start)()
