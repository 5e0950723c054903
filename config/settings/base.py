"""Settings that all environments share."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import django_stubs_ext
from celery.schedules import crontab
from csp.constants import NONE, SELF
from django import forms
from django.utils.translation import gettext_lazy as _
from kombu import Exchange, Queue

from config.environment import env, fail, required
from helpdesk import __version__

# Django's classes take type arguments at run time, too.
django_stubs_ext.monkeypatch(extra_classes=[forms.Form])

# Paths
BASE_DIR = Path(__file__).resolve().parent.parent.parent

# Secrets
SECRET_KEY = required("DJANGO_SECRET_KEY", meaning="Django's secret key, 50 random characters")
SECRET_KEY_FALLBACKS = env.list("DJANGO_SECRET_KEY_FALLBACKS", default=[])

# Requests
DEBUG = env.bool("DJANGO_DEBUG", default=False)
ALLOWED_HOSTS = env.list("DJANGO_ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
ASGI_APPLICATION = "config.asgi.application"
TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", default=0)
SITE_URL = env.str("SITE_URL", default="http://localhost:8000")
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    },
}

# Applications
INSTALLED_APPS = [
    # Its templates override the admin's.
    "helpdesk.core",
    "helpdesk.users.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "rest_framework",
    "rest_framework_simplejwt.token_blacklist",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "corsheaders",
    "axes",
    "helpdesk.monitoring",
    "helpdesk.users",
    "helpdesk.tickets",
    "helpdesk.subscriptions",
    # Before emails, whose receivers also contact the broker.
    "helpdesk.notifications",
    "helpdesk.emails",
    "helpdesk.demo",
]
MIDDLEWARE = [
    "helpdesk.core.middleware.request_context",
    "helpdesk.monitoring.middleware.observe_requests",
    "corsheaders.middleware.CorsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "helpdesk.core.middleware.default_headers",
    "helpdesk.core.middleware.ContentSecurityPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# PostgreSQL
DATABASE_URL = required("DATABASE_URL", meaning="the address of PostgreSQL, postgres://user:password@host:5432/name")
if not DATABASE_URL.startswith(("postgres://", "postgresql://")):
    fail("DATABASE_URL is invalid: it begins with postgres://.")
# PostgreSQL closes a connection some 20 seconds after its host is gone, and one that hangs in a transaction after 30.
DATABASE_CLIENT_LIMITS = {
    "statement_timeout": env.int("DATABASE_STATEMENT_TIMEOUT_MS", default=30_000),
    "idle_in_transaction_session_timeout": 30_000,
    "client_connection_check_interval": 5_000,
    "tcp_keepalives_idle": 5,
    "tcp_keepalives_interval": 5,
    "tcp_keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
DATABASES = {"default": env.db_url("DATABASE_URL")}
DATABASES["default"] |= {
    "ENGINE": "django.db.backends.postgresql",
    "CONN_MAX_AGE": None,
    "CONN_HEALTH_CHECKS": True,
    "OPTIONS": {
        "connect_timeout": 5,
        "keepalives_idle": 5,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 20_000,
        "options": " ".join(f"-c {name}={value}" for name, value in DATABASE_CLIENT_LIMITS.items()),
        # PostgreSQL parses and plans a statement once for a connection that has run it three times.
        "server_side_binding": True,
        "prepare_threshold": 3,
    },
}
MIGRATION_LOCK_TIMEOUT_MS = 5_000
ANNOUNCER_IDLE_TIMEOUT = timedelta(seconds=30)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Redis
REDIS_URL = required("REDIS_URL", meaning="the address of Redis or Valkey, redis://host:6379/0")
REDIS_TIMEOUT_SECONDS = 0.25
CACHES = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "helpdesk",
        "OPTIONS": {
            "SOCKET_TIMEOUT": REDIS_TIMEOUT_SECONDS,
            "SOCKET_CONNECT_TIMEOUT": REDIS_TIMEOUT_SECONDS,
            "REDIS_CLIENT_CLASS": "helpdesk.core.redis.Client",
            "CONNECTION_POOL_CLASS": "helpdesk.core.redis.ConnectionPool",
        },
    },
}
CHANNEL_REDIS_URL = env.str("CHANNEL_REDIS_URL", default=REDIS_URL) or REDIS_URL
CHANNEL_LAYERS: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {
            "hosts": [{"address": CHANNEL_REDIS_URL, "socket_timeout": 1, "socket_connect_timeout": 1}],
            "prefix": "helpdesk:",
        },
    },
}

# Users
AUTH_USER_MODEL = "users.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
PASSWORD_HASHERS = ["helpdesk.users.hashers.OwaspArgon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "helpdesk.users.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
    {"NAME": "helpdesk.users.password_validation.MaximumLengthValidator"},
]
REGISTRATION_OPEN = env.bool("REGISTRATION_OPEN", default=True)
PASSWORD_RESET_TIMEOUT = 60 * 60
LOGIN_FAILURE_LIMIT = 100
AXES_HANDLER = "helpdesk.users.credentials.LockoutHandler"
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_CLIENT_IP_CALLABLE = "helpdesk.core.client_address.client_network"
AXES_LOCKOUT_CALLABLE = "helpdesk.users.admin_site.locked_out"
AXES_RESET_ON_SUCCESS = True
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ACCESS_FAILURE_LOG = False
AXES_VERBOSE = False

# API
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["helpdesk.users.authentication.AccessTokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_THROTTLE_CLASSES": ["helpdesk.core.throttles.RequestThrottle"],
    "DEFAULT_RENDERER_CLASSES": ["helpdesk.core.json.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["helpdesk.core.json.JSONParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "helpdesk.core.json.ContentNegotiation",
    "DEFAULT_METADATA_CLASS": "helpdesk.core.json.AllowHeaderAlone",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_PAGINATION_CLASS": "helpdesk.core.lists.NumberedPages",
    "DEFAULT_SCHEMA_CLASS": "helpdesk.core.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "helpdesk.core.throttles.count_and_respond",
    "URL_FORMAT_OVERRIDE": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    "TEST_REQUEST_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
}
HEALTH_TOKEN = env.str("HEALTH_TOKEN", default="")
THROTTLE_USER_RATE = env.str("THROTTLE_USER_RATE", default="100/minute")
THROTTLE_ANON_RATE = env.str("THROTTLE_ANON_RATE", default="20/minute")
THROTTLE_LOGIN_RATE = env.str("THROTTLE_LOGIN_RATE", default="30/minute")
THROTTLE_TICKET_RATE = env.str("THROTTLE_TICKET_RATE", default="200/hour")
THROTTLE_COMMENT_RATE = env.str("THROTTLE_COMMENT_RATE", default="1000/hour")
THROTTLE_MAIL_RATE = env.str("THROTTLE_MAIL_RATE", default="5/hour")
SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": timedelta(hours=1),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=7),
    "ROTATE_REFRESH_TOKENS": True,
    "BLACKLIST_AFTER_ROTATION": True,
    "CHECK_REVOKE_TOKEN": True,
}
CORS_ALLOWED_ORIGINS = env.origins("CORS_ALLOWED_ORIGINS", default=[])
CORS_URLS_REGEX = r"^/api/"
CORS_ALLOW_HEADERS = ["accept", "authorization", "content-type", "idempotency-key", "x-request-id"]
CORS_EXPOSE_HEADERS = ["Idempotency-Replayed", "RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-ID"]
LIST_CACHE_LIFETIME = timedelta(minutes=5)
LIST_CACHE_BYTES = env.int("LIST_CACHE_MEGABYTES", default=128) * 1024 * 1024

# Backups
BACKUP_STATUS_FILE = env.str("BACKUP_STATUS_FILE", default="")
BACKUP_MAXIMUM_AGE = timedelta(hours=26)

# Metrics of the worker and the announcer, as host:port; `web` answers /metrics
METRICS_ADDRESS = env.str("METRICS_ADDRESS", default="")

# Telemetry
SENTRY_DSN = env.str("SENTRY_DSN", default="")
SENTRY_ENVIRONMENT = env.str("SENTRY_ENVIRONMENT", default="production")
OTEL_EXPORTER_OTLP_ENDPOINT = env.str("OTEL_EXPORTER_OTLP_ENDPOINT", default="")
TELEMETRY = []
if SENTRY_DSN:
    TELEMETRY.append("config.sentry.start")
if OTEL_EXPORTER_OTLP_ENDPOINT:
    TELEMETRY.append("config.tracing.start")
    # After the request id is set.
    MIDDLEWARE.insert(1, "config.tracing.trace_requests")

# OpenAPI
SPECTACULAR_SETTINGS = {
    "TITLE": "Helpdesk API",
    "DESCRIPTION": "Customers open tickets and add comments; agents see, assign and resolve all tickets.",
    "VERSION": __version__,
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "persistAuthorization": True, "validatorUrl": None},
    "SCHEMA_PATH_PREFIX": "/api",
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "helpdesk.core.openapi.document_problems",
        "helpdesk.core.openapi.document_parameters",
    ],
    "ENUM_NAME_OVERRIDES": {
        "HealthStatus": "helpdesk.monitoring.health.Status",
        "TicketStatus": "helpdesk.tickets.models.Status",
        "TicketPriority": "helpdesk.tickets.models.PRIORITY_NAMES",
        "UserRole": "helpdesk.users.models.Role",
        "Language": "helpdesk.users.models.Language",
        "TicketEventKind": "helpdesk.tickets.models.EventKind",
        "TicketEventSource": "helpdesk.tickets.models.EventSource",
        "NotificationType": "helpdesk.notifications.serializers.NOTIFICATION_TYPES",
    },
}

# Celery
CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default=REDIS_URL) or REDIS_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
# A worker takes a message when it begins it, so that the workers share the others.
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_SEND_TASK_EVENTS = True
CELERY_TASK_SEND_SENT_EVENT = True
# What may not wait behind the e-mails of tickets: those of accounts, and the sweep.
EMAIL_ACCOUNT_QUEUE = "account-emails"
CELERY_TASK_QUEUES = [Queue(name, Exchange(name), routing_key=name) for name in ("celery", EMAIL_ACCOUNT_QUEUE)]
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "global_keyprefix": "celery:",
    # A row keeps what must not be lost. Restoring unacknowledged messages would end a worker whose broker was killed.
    "ack_emulation": False,
    "socket_connect_timeout": 2,
    "socket_timeout": 5,
}
CELERY_BEAT_SCHEDULE = {
    "delete-expired-tokens": {
        "task": "helpdesk.users.tasks.delete_expired_tokens",
        "schedule": crontab(hour=3, minute=17),
    },
    "delete-old-login-failures": {
        "task": "helpdesk.users.tasks.delete_old_login_failures",
        "schedule": crontab(minute=27),
    },
    "delete-expired-sessions": {
        "task": "helpdesk.users.tasks.delete_expired_sessions",
        "schedule": crontab(hour=3, minute=29),
    },
    "delete-expired-registrations": {
        "task": "helpdesk.users.tasks.delete_expired_registrations",
        "schedule": crontab(hour=3, minute=32),
    },
    "delete-expired-address-changes": {
        "task": "helpdesk.users.tasks.delete_expired_address_changes",
        "schedule": crontab(hour=3, minute=34),
    },
    "delete-expired-idempotency-keys": {
        "task": "helpdesk.core.tasks.delete_expired_idempotency_keys",
        "schedule": crontab(minute=36),
    },
    "delete-old-emails": {
        "task": "helpdesk.emails.tasks.delete_old_emails",
        "schedule": crontab(hour=3, minute=37),
    },
    "delete-old-notifications": {
        "task": "helpdesk.notifications.tasks.delete_old_notifications",
        "schedule": crontab(hour=3, minute=42),
    },
    "delete-unused-search-words": {
        "task": "helpdesk.tickets.tasks.delete_unused_search_words",
        "schedule": crontab(hour=3, minute=47),
    },
    "fold-ticket-counts": {
        "task": "helpdesk.tickets.tasks.fold_ticket_counts",
        "schedule": timedelta(minutes=1),
    },
    "send-due-emails": {
        "task": "helpdesk.emails.tasks.send_due_emails",
        "schedule": timedelta(seconds=15),
        "options": {"queue": EMAIL_ACCOUNT_QUEUE},
    },
}

# E-mail
EMAIL_BACKEND = "helpdesk.emails.smtp.EmailBackend"
EMAIL_HOST = env.str("EMAIL_HOST", default="localhost")
EMAIL_PORT = env.int("EMAIL_PORT", default=1025)
EMAIL_HOST_USER = env.str("EMAIL_HOST_USER", default="")
EMAIL_HOST_PASSWORD = env.str("EMAIL_HOST_PASSWORD", default="")
EMAIL_USE_TLS = env.bool("EMAIL_USE_TLS", default=False)
EMAIL_TIMEOUT = 20
EMAIL_LEASE = timedelta(seconds=90)
EMAIL_RETRY_DELAY = timedelta(seconds=15)
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="Helpdesk <helpdesk@localhost>")

# Live events
WEBSOCKET_ORIGINS = env.list("WEBSOCKET_ORIGINS", default=[])
WEBSOCKET_WITHOUT_ORIGIN = env.bool("WEBSOCKET_WITHOUT_ORIGIN", default=True)
WEBSOCKET_HEARTBEAT = timedelta(seconds=25)
WEBSOCKET_AUTH_TIMEOUT = timedelta(seconds=5)
WEBSOCKET_PLAIN_AUTH_TIMEOUT = timedelta(seconds=1)
WEBSOCKET_SLOW_CLIENT_TIMEOUT = timedelta(seconds=10)
WEBSOCKET_COUNT_INTERVAL = timedelta(seconds=5)
NOTIFICATION_RETENTION = timedelta(days=90)

# Languages
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("es", _("Spanish"))]
LOCALE_PATHS = [BASE_DIR / "helpdesk" / "locale"]

# Static files
STATIC_URL = "/static/"

# Logs
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": "helpdesk.monitoring.logs.LineFormatter",
            "format": "{levelname} {name} {message}",
            "style": "{",
        },
        "json": {"()": "helpdesk.monitoring.logs.JSONFormatter"},
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "loggers": {
        "axes": {"level": "WARNING"},
        # Other responses than server errors are in the access log.
        "django.request": {"level": "ERROR"},
        # Its message quotes the client's Host header.
        "django.security.DisallowedHost": {"level": "CRITICAL"},
        # It logs a traceback per second while Redis is down; the hub logs one line.
        "channels_redis": {"level": "CRITICAL"},
    },
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="INFO")},
}
