"""Development: `make up` and docker-compose.local.yml."""

from config.settings.base import *

# Applications
INSTALLED_APPS += ["django_linear_migrations"]

# Static files
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG
