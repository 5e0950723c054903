"""The Celery application: `celery -A config worker`."""

import os
from logging.config import dictConfig
from typing import Any

from celery import Celery
from celery.signals import setup_logging, worker_process_shutdown
from django.conf import settings

from helpdesk.monitoring.metrics import tallies

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.local")

app = Celery("helpdesk")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def log_as_all_do(**kwargs: Any) -> None:
    """Keep Celery from putting handlers of its own in the place of ours."""
    dictConfig(settings.LOGGING)


@worker_process_shutdown.connect
def hand_over_metrics(**kwargs: Any) -> None:
    """Hand over what a process has counted, which ends without Python's own farewell."""
    tallies.hand_over()
