"""Environments for tests, and the variables that settings and files for containers have."""

import re

from django.conf import settings

ROOT = settings.BASE_DIR
PRODUCTION = {"DJANGO_SETTINGS_MODULE": "config.settings.production"}
COMPLETE = {
    "DJANGO_SETTINGS_MODULE": "config.settings.local",
    "DJANGO_SECRET_KEY": "0123456789-abcdefghijklmnopqrstuvwxyz-0123456789-abc",
    "DATABASE_URL": "postgres://helpdesk:secret@postgres.invalid:5432/helpdesk",
    "REDIS_URL": "redis://redis.invalid:6379/0",
    "DJANGO_ALLOWED_HOSTS": "helpdesk.example.com",
    "SITE_URL": "https://helpdesk.example.com",
    "EMAIL_HOST": "smtp.example.com",
}
# Read by the image of PostgreSQL and by Flower's start script.
READ_BY_CONTAINERS = {
    "POSTGRES_DB",
    "POSTGRES_USER",
    "POSTGRES_PASSWORD",
    "CELERY_FLOWER_USER",
    "CELERY_FLOWER_PASSWORD",
}
READ_BY_OTHERS = READ_BY_CONTAINERS | {"DJANGO_SETTINGS_MODULE"}
READ_BY_SETTINGS = re.compile(r'(?:required|env\.\w+)\(\s*"([A-Z_]+)"')


def read_by_settings():
    """Return the names of the variables that the settings read."""
    paths = (ROOT / "config" / "settings").glob("*.py")
    return {name for path in paths for name in READ_BY_SETTINGS.findall(path.read_text())}


def lines_of(path):
    """Return the variables of a file for containers."""
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)
