from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class FaultsConfig(AppConfig):
    name = "faults"

    def ready(self) -> None:
        autodiscover_modules("mutations")
