"""The settings of the product under test, with times so short that it recovers within seconds."""

from datetime import timedelta

from config.settings import local
from config.settings.local import *

# Applications
INSTALLED_APPS = [*local.INSTALLED_APPS, "faults"]

# PostgreSQL
DATABASE = local.DATABASES["default"]
SHORT_OPTIONS = f"{DATABASE['OPTIONS']['options']} -c idle_in_transaction_session_timeout=5000"
DATABASES = {"default": DATABASE | {"OPTIONS": DATABASE["OPTIONS"] | {"options": SHORT_OPTIONS}}}
ANNOUNCER_IDLE_TIMEOUT = timedelta(seconds=5)

# Requests: counted, but never refused
THROTTLE_USER_RATE = THROTTLE_ANON_RATE = THROTTLE_LOGIN_RATE = THROTTLE_TICKET_RATE = THROTTLE_COMMENT_RATE = (
    "1000000/minute"
)

# E-mail
EMAIL_TIMEOUT = 3
EMAIL_LEASE = timedelta(seconds=6)
EMAIL_RETRY_DELAY = timedelta(seconds=1)
SWEEP = local.CELERY_BEAT_SCHEDULE["send-due-emails"] | {"schedule": timedelta(seconds=1)}
CELERY_BEAT_SCHEDULE = local.CELERY_BEAT_SCHEDULE | {"send-due-emails": SWEEP}

# Live events
WEBSOCKET_HEARTBEAT = timedelta(seconds=5)
