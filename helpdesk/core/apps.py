from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class CoreConfig(AppConfig):
    name = "helpdesk.core"

    def ready(self) -> None:
        """Import the modules of every app that register something."""
        autodiscover_modules("openapi", "receivers")
