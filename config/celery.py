"""Celery application: `celery -A config worker`."""

import os
from logging.config import dictConfig
from typing import Any

from celery import Celery
from celery.signals import setup_logging, worker_ready
from django.conf import settings

from helpdesk.monitoring.metrics import serve_metrics

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.local")

app = Celery("helpdesk")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def configure_logging(**kwargs: Any) -> None:
    """Log like every other process, instead of by Celery's own handlers."""
    dictConfig(settings.LOGGING)


@worker_ready.connect
def serve_worker_metrics(**kwargs: Any) -> None:
    serve_metrics()
