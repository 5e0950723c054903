"""The test suite: real PostgreSQL and Valkey, no limits, cheap password hashes."""

import os

from config.settings.base import *

# Applications
INSTALLED_APPS += ["django_linear_migrations"]

# Requests
ALLOWED_HOSTS = ["*"]
THROTTLE_USER_RATE = ""
THROTTLE_ANON_RATE = ""
THROTTLE_LOGIN_RATE = ""
THROTTLE_TICKET_RATE = ""
THROTTLE_COMMENT_RATE = ""
THROTTLE_MAIL_RATE = ""

# Redis: each parallel worker empties a database of its own
WORKER_NUMBER = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
REDIS_URL = f"{REDIS_URL.rsplit('/', 1)[0]}/{WORKER_NUMBER}"
CACHES["default"]["LOCATION"] = REDIS_URL
# Celery prefers the environment variable.
CELERY_BROKER_URL = os.environ["CELERY_BROKER_URL"] = REDIS_URL
# Published messages reach every database of a server.
CHANNEL_LAYERS["default"]["CONFIG"]["prefix"] = f"helpdesk-{WORKER_NUMBER}:"

# Users
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher", *PASSWORD_HASHERS]

# Static files
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False
