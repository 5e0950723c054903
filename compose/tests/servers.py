"""How the tests run the servers of the production image."""

import os
import subprocess
import time
from contextlib import contextmanager

from django.conf import settings
from django.db import connection

from compose.embedded.image import BIN

PATIENCE_SECONDS = 40


def production_environment(url):
    database = connection.settings_dict
    return {
        "PATH": f"{BIN}:{os.defpath}",
        "DJANGO_SETTINGS_MODULE": "config.settings.production",
        "DJANGO_SECRET_KEY": settings.SECRET_KEY,
        "DJANGO_ALLOWED_HOSTS": "localhost",
        "SITE_URL": url,
        "DATABASE_URL": "postgres://{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}".format(**database),
        "REDIS_URL": settings.REDIS_URL,
        "EMAIL_HOST": "127.0.0.1",
        "THROTTLE_ANON_RATE": "",
        "THROTTLE_USER_RATE": "",
        "WEB_WORKERS": "1",
    }


@contextmanager
def running(command, folder, environment, log):
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until(condition, logs):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "\n".join(log.read_text() for log in logs.glob("*.log"))
        time.sleep(0.05)
