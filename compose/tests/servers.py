"""How the tests run the servers of production."""

import os
import signal
import subprocess
from contextlib import contextmanager

from django.conf import settings

from compose.embedded.options import ROOT
from compose.embedded.processes import start_process, stop
from compose.embedded.product import BIN
from helpdesk.testing import database_url, wait_until


def production_environment(url):
    return {
        "PATH": f"{BIN}:{os.defpath}",
        "DJANGO_SETTINGS_MODULE": "config.settings.production",
        "DJANGO_SECRET_KEY": settings.SECRET_KEY,
        "DJANGO_ALLOWED_HOSTS": "localhost",
        "SITE_URL": url,
        "DATABASE_URL": database_url(),
        "REDIS_URL": settings.REDIS_URL,
        "CELERY_BROKER_URL": "",
        "EMAIL_HOST": "127.0.0.1",
        "THROTTLE_ANON_RATE": "",
        "THROTTLE_USER_RATE": "",
        "WEB_WORKERS": "1",
    }


@contextmanager
def running(command, environment, log):
    with log.open("wb") as output:
        process = start_process(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        stop(process, [(signal.SIGTERM, 15)])


def wait_until_logged(condition, logs):
    """Wait for a condition to hold; show the logs of a folder when it does not in time."""
    try:
        wait_until(condition)
    except AssertionError as error:
        raise AssertionError("\n".join(log.read_text() for log in logs.glob("*.log"))) from error
