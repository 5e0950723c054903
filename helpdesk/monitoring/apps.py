from django.apps import AppConfig
from django.conf import settings
from django.utils.module_loading import autodiscover_modules, import_string


class MonitoringConfig(AppConfig):
    name = "helpdesk.monitoring"

    def ready(self) -> None:
        """Import the health checks of every app, and start the telemetry that the settings enable."""
        autodiscover_modules("health_checks")
        for start in settings.TELEMETRY:
            import_string(start)()
